//! The tables made of read models: what the caller may see of a kind, as the API shows it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::MemTable;
use schemas::kind::Kind;
use serde_json::{Map, Value};

use super::columns::{Column, columns_of};
use super::device_columns;
use super::memory::Kept;
use crate::shown::{Row, Seen, Shown, rows};

/// Rows that are JSON at one time, on their way to columns.
const BATCH_ROWS: usize = 4_096;

macro_rules! tables {
    ($($name:ident $table:ident $id:ident $new:ident $module:ident,)*) => {
        /// The table of a kind of resource. Its rows count as memory of the query.
        pub(super) fn table(kind: Kind, seen: &Seen, kept: &Kept) -> Result<Option<MemTable>> {
            match kind {
                $(Kind::$name => table_of::<schemas::$module::$name>(seen, kept).map(Some),)*
                Kind::Org | Kind::Event | Kind::Flow => Ok(None),
            }
        }
    };
}

schemas::for_each_resource!(tables);

fn table_of<T: Shown>(seen: &Seen, kept: &Kept) -> Result<MemTable> {
    let mut columns = columns_of::<T::View>();
    if T::KIND == Kind::Device {
        columns.extend(device_columns::columns());
    }
    let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
    let mut batches = Vec::new();
    let mut waiting = Vec::new();
    let mut end = |waiting: &mut Vec<Value>| -> Result<()> {
        let batch = batch(&schema, waiting)?;
        kept.take(T::KIND.plural(), batch.get_array_memory_size())?;
        batches.push(batch);
        waiting.clear();
        Ok(())
    };
    for row in rows::<T>(seen, false) {
        waiting.push(Value::Object(fields_of(&row, &columns)?));
        if waiting.len() == BATCH_ROWS {
            end(&mut waiting)?;
        }
    }
    end(&mut waiting)?;
    MemTable::try_new(schema, vec![batches])
}

fn fields_of<T: Shown>(row: &Row<'_, T>, columns: &[Column]) -> Result<Map<String, Value>> {
    let mut fields = match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => Map::new(),
        Err(error) => return Err(DataFusionError::External(Box::new(error))),
    };
    if T::KIND == Kind::Device {
        device_columns::add(&mut fields);
    }
    columns.iter().for_each(|column| column.fit(&mut fields));
    Ok(fields)
}

/// Rows of JSON as columns; what has no column is left out.
fn batch(schema: &SchemaRef, rows: &[Value]) -> Result<RecordBatch> {
    let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(rows.len().max(1)).build_decoder()?;
    decoder.serialize(rows)?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(schema.clone())))
}
