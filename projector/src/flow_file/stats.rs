//! What the catalogue says about a file, taken from the file's own statistics.

use parquet::file::metadata::RowGroupMetaData;
use schemas::files::File;
use schemas::flow::{address_of, table_schema};

use super::EncodeError;

/// The smallest and largest values so far, in the order of the bytes.
#[derive(Default)]
pub(super) struct Bounds {
    time: Option<(i64, i64)>,
    src: Option<([u8; 16], [u8; 16])>,
    dst: Option<([u8; 16], [u8; 16])>,
    device: Option<(String, String)>,
}

impl Bounds {
    pub(super) fn widen(&mut self, group: &RowGroupMetaData) -> Result<(), EncodeError> {
        widen(&mut self.time, ends(group, "time", |bytes| bytes.try_into().ok().map(i64::from_le_bytes))?);
        widen(&mut self.src, ends(group, "src", |bytes| bytes.try_into().ok())?);
        widen(&mut self.dst, ends(group, "dst", |bytes| bytes.try_into().ok())?);
        widen(&mut self.device, ends(group, "device", |bytes| String::from_utf8(bytes.to_vec()).ok())?);
        Ok(())
    }

    pub(super) fn file(self, path: String, bytes: u64, rows: u64) -> Result<File, EncodeError> {
        let (time_min_us, time_max_us) = self.time.ok_or(EncodeError::Column("time"))?;
        let (src_min, src_max) = self.src.ok_or(EncodeError::Column("src"))?;
        let (dst_min, dst_max) = self.dst.ok_or(EncodeError::Column("dst"))?;
        let (device_min, device_max) = self.device.ok_or(EncodeError::Column("device"))?;
        Ok(File {
            path,
            bytes,
            rows,
            time_min_us,
            time_max_us,
            src_min: address_of(src_min),
            src_max: address_of(src_max),
            dst_min: address_of(dst_min),
            dst_max: address_of(dst_max),
            device_min,
            device_max,
        })
    }
}

fn widen<T: Ord>(bounds: &mut Option<(T, T)>, (min, max): (T, T)) {
    *bounds = Some(match bounds.take() {
        None => (min, max),
        Some((least, most)) => (least.min(min), most.max(max)),
    });
}

fn ends<T>(
    group: &RowGroupMetaData,
    name: &'static str,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<(T, T), EncodeError> {
    let statistics = table_schema().index_of(name).ok().and_then(|number| group.columns().get(number)?.statistics());
    let min = statistics.and_then(|statistics| read(statistics.min_bytes_opt()?));
    let max = statistics.and_then(|statistics| read(statistics.max_bytes_opt()?));
    min.zip(max).ok_or(EncodeError::Column(name))
}
