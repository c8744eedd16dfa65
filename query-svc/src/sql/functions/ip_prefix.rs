//! `ip_prefix(ip, bits)`: the CIDR block around an address, as text: `ip_prefix('10.1.2.3', 8)` is `10.0.0.0/8`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::IP_PREFIX;
use super::block::{prefix, prefix_text};
use super::ips::{Ips, ip_argument};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IpPrefix {
    signature: Signature,
}

impl Default for IpPrefix {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for IpPrefix {
    fn name(&self) -> &str {
        IP_PREFIX
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [ip, bits] = given else { return plan_err!("ip_prefix expects an address and a number of bits") };
        if !(bits.is_integer() || bits.is_null()) {
            return plan_err!("ip_prefix expects a number of bits, got {bits}");
        }
        Ok(vec![ip_argument(IP_PREFIX, ip)?, DataType::Int64])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ip, bits] = args.args.as_slice() else { return exec_err!("ip_prefix expects two arguments") };
        let (ips, bits) = (ip.to_array(args.number_rows)?, bits.to_array(args.number_rows)?);
        let (ips_read, bits) = (Ips::of(&ips)?, bits.as_primitive::<Int64Type>());
        let blocks: StringArray = (0..ips.len())
            .map(|row| {
                let bits = bits.is_valid(row).then(|| bits.value(row))?;
                prefix(ips_read.address(row)?, bits).map(prefix_text)
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(blocks)))
    }
}
