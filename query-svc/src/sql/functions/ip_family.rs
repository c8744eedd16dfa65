//! `ip_family(ip)`: 4 or 6.

use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::IP_FAMILY;
use super::block::is_ipv4;
use super::ips::{Ips, ip_argument};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IpFamily {
    signature: Signature,
}

impl Default for IpFamily {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for IpFamily {
    fn name(&self) -> &str {
        IP_FAMILY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [ip] = given else { return plan_err!("ip_family expects an address") };
        Ok(vec![ip_argument(IP_FAMILY, ip)?])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ip] = args.args.as_slice() else { return exec_err!("ip_family expects one argument") };
        let ips = ip.to_array(args.number_rows)?;
        let ips_read = Ips::of(&ips)?;
        let family = |row| ips_read.bytes(row).map(|ip| if is_ipv4(ip) { 4 } else { 6 });
        let families: Int64Array = (0..ips.len()).map(family).collect();
        Ok(ColumnarValue::Array(Arc::new(families)))
    }
}
