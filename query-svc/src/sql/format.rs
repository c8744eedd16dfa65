//! The forms in which an answer leaves: JSON, NDJSON, CSV and an Arrow IPC stream.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::csv::WriterBuilder as CsvWriterBuilder;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::LineDelimitedWriter;
use arrow::json::WriterBuilder as JsonWriterBuilder;
use arrow::json::writer::{EncoderOptions, LineDelimited, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::engine::Answer;

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Ndjson,
    Csv,
    Arrow,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Json, Self::Ndjson, Self::Csv, Self::Arrow];

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The first form that an `Accept` header (RFC 9110) allows; JSON if it allows everything.
    pub fn accepted(accept: Option<&str>) -> Option<Self> {
        let Some(accept) = accept else { return Some(Self::Json) };
        let mut wanted: Vec<(u16, &str)> = accept.split(',').filter_map(preference).collect();
        wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        wanted.iter().filter(|(weight, _)| *weight > 0).find_map(|(_, range)| {
            let within = |format: &Self| {
                let offered = format.content_type();
                let family = offered.split('/').next().unwrap_or_default();
                *range == "*/*" || *range == offered || range.strip_suffix("/*") == Some(family)
            };
            Self::ALL.into_iter().find(within)
        })
    }

    /// Writes an answer.
    pub fn write(self, answer: &Answer) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Json => json(answer),
            Self::Ndjson => ndjson(answer),
            Self::Csv => csv(answer),
            Self::Arrow => arrow_stream(answer),
        }
    }
}

/// A media range and its weight in thousandths.
fn preference(part: &str) -> Option<(u16, &str)> {
    let mut pieces = part.split(';').map(str::trim);
    let range = pieces.next().filter(|range| !range.is_empty())?;
    let weight = pieces.find_map(|piece| piece.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse().ok())?;
    let weight: f32 = weight;
    (0.0..=1.0).contains(&weight).then_some(((weight * 1_000.0) as u16, range))
}

fn json(answer: &Answer) -> Result<Vec<u8>, ArrowError> {
    let columns: Vec<serde_json::Value> = answer.schema.fields().iter().map(column).collect();
    let mut out = Vec::new();
    let json_error = |error: serde_json::Error| ArrowError::JsonError(error.to_string());
    out.extend_from_slice(b"{\"columns\":");
    serde_json::to_writer(&mut out, &columns).map_err(json_error)?;
    out.extend_from_slice(b",\"data\":[");
    let mut first = true;
    for batch in &answer.batches {
        let batch = in_utc(batch)?;
        let fields: Vec<FieldRef> = batch.schema().fields().iter().cloned().collect();
        let options = EncoderOptions::default().with_explicit_nulls(true);
        let mut encoders: Vec<NullableEncoder<'_>> = fields
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| make_encoder(field, column.as_ref(), &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if first { b"[" } else { b",[" });
            first = false;
            write_row(&mut encoders, row, &mut out);
            out.push(b']');
        }
    }
    out.extend_from_slice(b"],\"stats\":");
    serde_json::to_writer(&mut out, &answer.stats).map_err(json_error)?;
    out.push(b'}');
    Ok(out)
}

fn write_row(encoders: &mut [NullableEncoder<'_>], row: usize, out: &mut Vec<u8>) {
    for (index, encoder) in encoders.iter_mut().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match encoder.is_null(row) {
            true => out.extend_from_slice(b"null"),
            false => encoder.encode(row, out),
        }
    }
}

fn column(field: &FieldRef) -> serde_json::Value {
    serde_json::json!({"name": field.name(), "type": type_name(field.data_type())})
}

/// A type as answers name it.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types are many; only these matter here")]
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Dictionary(_, value) => type_name(value),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".to_owned()
        }
        DataType::List(item) | DataType::LargeList(item) => format!("{}[]", type_name(item.data_type())),
        other => other.to_string().to_lowercase(),
    }
}

fn ndjson(answer: &Answer) -> Result<Vec<u8>, ArrowError> {
    let mut writer: LineDelimitedWriter<_> =
        JsonWriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    for batch in &answer.batches {
        writer.write(&in_utc(batch)?)?;
    }
    writer.finish()?;
    Ok(writer.into_inner())
}

fn csv(answer: &Answer) -> Result<Vec<u8>, ArrowError> {
    let mut out = Vec::new();
    let mut writer = CsvWriterBuilder::new().with_header(true).build(&mut out);
    if answer.batches.is_empty() {
        writer.write(&flat(&RecordBatch::new_empty(answer.schema.clone()))?)?;
    }
    for batch in &answer.batches {
        writer.write(&flat(&in_utc(batch)?)?)?;
    }
    drop(writer);
    Ok(out)
}

fn arrow_stream(answer: &Answer) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &answer.schema)?;
    for batch in &answer.batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    writer.into_inner()
}

/// Times without a zone are in UTC here, and every text form says so.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types are many; only these matter here")]
fn in_utc(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    changed(batch, |column| match column.data_type() {
        DataType::Timestamp(unit, zone) if zone.as_deref() != Some("UTC") => {
            cast(column, &DataType::Timestamp(*unit, Some("UTC".into()))).map(Some)
        }
        DataType::Dictionary(_, value) if matches!(value.as_ref(), DataType::Timestamp(..)) => {
            cast(column, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).map(Some)
        }
        _ => Ok(None),
    })
}

/// CSV has no lists, maps or structs: they become text.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    changed(batch, |column| {
        if !column.data_type().is_nested() {
            return Ok(None);
        }
        let options = FormatOptions::default();
        let shown = ArrayFormatter::try_new(column.as_ref(), &options)?;
        let text = |row| (!column.is_null(row)).then(|| shown.value(row).to_string());
        Ok(Some(Arc::new((0..column.len()).map(text).collect::<StringArray>()) as ArrayRef))
    })
}

fn changed(
    batch: &RecordBatch,
    change: impl Fn(&ArrayRef) -> Result<Option<ArrayRef>, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let mut fields: Vec<FieldRef> = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        match change(column)? {
            Some(column) => {
                let changed = Field::new(field.name(), column.data_type().clone(), field.is_nullable());
                fields.push(Arc::new(changed));
                columns.push(column);
            }
            None => {
                fields.push(field.clone());
                columns.push(column.clone());
            }
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_form_that_is_accepted_is_chosen() {
        let chosen = |accept: &str| Format::accepted(Some(accept));
        assert_eq!(Format::accepted(None), Some(Format::Json));
        assert_eq!(chosen("*/*"), Some(Format::Json));
        assert_eq!(chosen("text/csv"), Some(Format::Csv));
        assert_eq!(chosen("text/*;q=0.5, application/x-ndjson"), Some(Format::Ndjson));
        assert_eq!(chosen("text/html, application/vnd.apache.arrow.stream;q=0.1"), Some(Format::Arrow));
        assert_eq!(chosen("text/html"), None);
        assert_eq!(chosen("application/json;q=0"), None);
    }
}
