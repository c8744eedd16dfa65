//! One column of all batches, laid end to end.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, StringArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Int32Type};

use super::{DeviceBatch, EncodeError};

/// The column `field` of the flow table. The device of a batch becomes a column of its rows.
pub(super) fn column(batches: &[DeviceBatch], field: &Field) -> Result<ArrayRef, EncodeError> {
    if field.name() == "device" {
        return devices(batches);
    }
    let parts = batches.iter().map(|batch| batch.rows.column_by_name(field.name()));
    let parts: Vec<&ArrayRef> = parts.collect::<Option<_>>().ok_or(EncodeError::Column("of a batch"))?;
    if matches!(field.data_type(), DataType::Dictionary(_, _)) {
        return labels(&parts, field.is_nullable());
    }
    let parts: Vec<&dyn Array> = parts.into_iter().map(AsRef::as_ref).collect();
    Ok(concat(&parts)?)
}

fn devices(batches: &[DeviceBatch]) -> Result<ArrayRef, EncodeError> {
    let mut labels = Labels::default();
    let mut keys = Vec::with_capacity(batches.iter().map(|batch| batch.rows.num_rows()).sum());
    for batch in batches {
        let key = labels.key(&batch.device.to_string());
        keys.extend(std::iter::repeat_n(key, batch.rows.num_rows()));
    }
    labels.finish(Int32Array::from(keys))
}

/// Dictionary columns under one dictionary. Arrow's own `concat` keeps every batch's dictionary.
fn labels(parts: &[&ArrayRef], is_nullable: bool) -> Result<ArrayRef, EncodeError> {
    let mut labels = Labels::default();
    let mut keys: Vec<Option<i32>> = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        let part = part.as_dictionary_opt::<Int32Type>().ok_or(EncodeError::Column("a label"))?;
        let values = part.values().as_string_opt::<i32>().ok_or(EncodeError::Column("a label"))?;
        let values: Vec<Option<i32>> = values.iter().map(|value| value.map(|value| labels.key(value))).collect();
        let of = |key: Option<i32>| key.and_then(|key| values.get(usize::try_from(key).ok()?).copied().flatten());
        keys.extend(part.keys().iter().map(of));
    }
    if !is_nullable {
        // A dictionary may hold a null even where the column may not.
        let empty = keys.iter().any(Option::is_none).then(|| labels.key(""));
        return labels.finish(keys.into_iter().filter_map(|key| key.or(empty)).collect());
    }
    labels.finish(Int32Array::from(keys))
}

/// A dictionary that grows.
#[derive(Default)]
struct Labels {
    keys: HashMap<String, i32>,
    texts: Vec<String>,
}

impl Labels {
    fn key(&mut self, text: &str) -> i32 {
        if let Some(key) = self.keys.get(text) {
            return *key;
        }
        let key = i32::try_from(self.texts.len()).unwrap_or(i32::MAX);
        self.keys.insert(text.to_owned(), key);
        self.texts.push(text.to_owned());
        key
    }

    fn finish(self, keys: Int32Array) -> Result<ArrayRef, EncodeError> {
        let values = Arc::new(StringArray::from(self.texts));
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
    }
}
