//! The functions that SQL has beside DataFusion's own: addresses and protocols, as text and as the table keeps them.

pub(crate) mod block;
mod text;
mod cidr_contains;
mod ip_prefix;
mod ip_family;
mod ips;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

pub(crate) use text::{address_text, protocol_number, protocol_text};

/// Turns a file's addresses into text; not to be called by name.
pub(crate) const ADDRESS_TEXT: &str = "address_text";
/// Turns a file's protocol numbers into text; not to be called by name.
pub(crate) const PROTOCOL_TEXT: &str = "protocol_text";
pub(crate) const CIDR_CONTAINS: &str = "cidr_contains";
pub(crate) const IP_PREFIX: &str = "ip_prefix";
pub(crate) const IP_FAMILY: &str = "ip_family";

/// The functions that queries may call by name.
pub(crate) fn callable() -> Vec<Arc<ScalarUDF>> {
    vec![
        Arc::new(ScalarUDF::from(cidr_contains::CidrContains::default())),
        Arc::new(ScalarUDF::from(ip_prefix::IpPrefix::default())),
        Arc::new(ScalarUDF::from(ip_family::IpFamily::default())),
    ]
}
