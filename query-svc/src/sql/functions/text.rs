//! The text of the columns that a file keeps as bytes or numbers: addresses and protocols.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Int16Type};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use schemas::flow::{ADDRESS_BYTES, address_of};
use schemas::service::{Protocol, protocol_name};

use super::block::is_ipv4;
use super::{ADDRESS_TEXT, PROTOCOL_TEXT};

/// The text of an address column: IPv4 as such, IPv6 in its shortest form (RFC 5952).
pub(crate) fn address_text(column: Expr) -> Expr {
    ScalarUDF::from(Text::new(Of::Address)).call(vec![column])
}

/// The text of a protocol column: a name, or the number of a protocol that has none.
pub(crate) fn protocol_text(column: Expr) -> Expr {
    ScalarUDF::from(Text::new(Of::Protocol)).call(vec![column])
}

/// The number of the protocol that has exactly this text.
pub(crate) fn protocol_number(text: &str) -> Option<i16> {
    match text.parse().ok()? {
        protocol @ Protocol::Number(number) if protocol.to_string() == text => Some(i16::from(number)),
        Protocol::Number(_) | Protocol::All => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Text {
    of: Of,
    signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Address,
    Protocol,
}

impl Text {
    fn new(of: Of) -> Self {
        let stored = match of {
            Of::Address => DataType::FixedSizeBinary(ADDRESS_BYTES),
            Of::Protocol => DataType::Int16,
        };
        Self { of, signature: Signature::exact(vec![stored], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Text {
    fn name(&self) -> &str {
        match self.of {
            Of::Address => ADDRESS_TEXT,
            Of::Protocol => PROTOCOL_TEXT,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [stored] = args.args.as_slice() else { return exec_err!("{} expects one argument", self.name()) };
        let stored = stored.to_array(args.number_rows)?;
        let text: ArrayRef = match self.of {
            Of::Address => Arc::new(addresses(&stored)?),
            Of::Protocol => Arc::new(protocols(&stored)),
        };
        Ok(ColumnarValue::Array(text))
    }
}

fn addresses(stored: &ArrayRef) -> Result<StringArray> {
    let Some(stored) = stored.as_any().downcast_ref::<FixedSizeBinaryArray>() else {
        return exec_err!("expected addresses, got {}", stored.data_type());
    };
    let octets: Vec<String> = (0..=u8::MAX).map(|octet| octet.to_string()).collect();
    let mut texts = StringBuilder::with_capacity(stored.len(), stored.len() * 14);
    for row in 0..stored.len() {
        let bytes: Option<[u8; 16]> = stored.is_valid(row).then(|| stored.value(row).try_into().ok()).flatten();
        match bytes {
            Some(bytes) => {
                write_address(&mut texts, &octets, bytes)
                    .map_err(|error| DataFusionError::Execution(error.to_string()))?;
                texts.append_value("");
            }
            None => texts.append_null(),
        }
    }
    Ok(texts.finish())
}

/// Most addresses are IPv4, and half a query's time would go into formatting their numbers one by one.
fn write_address(texts: &mut StringBuilder, octets: &[String], bytes: [u8; 16]) -> std::fmt::Result {
    if !is_ipv4(bytes) {
        return write!(texts, "{}", address_of(bytes));
    }
    for (index, octet) in bytes[12..].iter().enumerate() {
        if index > 0 {
            texts.write_char('.')?;
        }
        texts.write_str(octets.get(usize::from(*octet)).map_or("", String::as_str))?;
    }
    Ok(())
}

fn protocols(stored: &ArrayRef) -> StringArray {
    let stored = stored.as_primitive::<Int16Type>();
    let mut texts = StringBuilder::with_capacity(stored.len(), stored.len() * 4);
    for number in stored {
        let named = number.and_then(|number| u8::try_from(number).ok()).and_then(protocol_name);
        match (number, named) {
            (_, Some(name)) => texts.append_value(name),
            (Some(number), None) => texts.append_value(number.to_string()),
            (None, None) => texts.append_null(),
        }
    }
    texts.finish()
}
