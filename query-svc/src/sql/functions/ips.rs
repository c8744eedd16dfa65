//! Addresses as arguments: text, or the table's 16 bytes.

use std::net::IpAddr;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use schemas::flow::{ADDRESS_BYTES, address_bytes, address_of};

use super::block::Bytes16;

/// A column of addresses.
pub(super) enum Ips<'a> {
    Text(&'a StringArray),
    Bytes(&'a FixedSizeBinaryArray),
}

impl<'a> Ips<'a> {
    pub(super) fn of(array: &'a ArrayRef) -> Result<Self> {
        if let Some(bytes) = array.as_any().downcast_ref::<FixedSizeBinaryArray>() {
            return Ok(Self::Bytes(bytes));
        }
        match array.as_string_opt::<i32>() {
            Some(text) => Ok(Self::Text(text)),
            None => exec_err!("expected addresses, got {}", array.data_type()),
        }
    }

    /// The address of a row; `None` where there is none, or text that is no address.
    pub(super) fn bytes(&self, row: usize) -> Option<Bytes16> {
        match self {
            Self::Bytes(array) if array.is_valid(row) => array.value(row).try_into().ok(),
            Self::Text(array) if array.is_valid(row) => array.value(row).parse::<IpAddr>().ok().map(address_bytes),
            Self::Bytes(_) | Self::Text(_) => None,
        }
    }

    pub(super) fn address(&self, row: usize) -> Option<IpAddr> {
        self.bytes(row).map(address_of)
    }
}

/// What an argument that should be text is read as.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types are many; only these matter here")]
pub(super) fn text_argument(function: &str, given: &DataType) -> Result<DataType> {
    match given {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Ok(DataType::Utf8),
        DataType::Dictionary(_, value) if value.is_string() => Ok(DataType::Utf8),
        other => plan_err!("{function} expects text, got {other}"),
    }
}

/// What an argument that should be an address is read as.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow's types are many; only these matter here")]
pub(super) fn ip_argument(function: &str, given: &DataType) -> Result<DataType> {
    match given {
        DataType::FixedSizeBinary(ADDRESS_BYTES) => Ok(given.clone()),
        other => text_argument(function, other),
    }
}
