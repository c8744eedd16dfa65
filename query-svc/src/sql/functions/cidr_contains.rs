//! `cidr_contains(cidr, ip)`: whether an address lies in a CIDR block (or a range `a-b`).

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::CIDR_CONTAINS;
use super::block::Block;
use super::ips::{Ips, ip_argument, text_argument};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CidrContains {
    signature: Signature,
}

impl Default for CidrContains {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for CidrContains {
    fn name(&self) -> &str {
        CIDR_CONTAINS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [cidr, ip] = given else { return plan_err!("cidr_contains expects a CIDR block and an address") };
        Ok(vec![text_argument(CIDR_CONTAINS, cidr)?, ip_argument(CIDR_CONTAINS, ip)?])
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        // A block that cannot be read is the query's fault, whether or not a row is looked at.
        if let Some(Expr::Literal(cidr, _)) = args.first()
            && let Some(cidr) = cidr.try_as_str().flatten()
        {
            Block::parse(cidr).ok_or_else(|| DataFusionError::Plan(unread(cidr)))?;
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [cidr, ip] = args.args.as_slice() else { return exec_err!("cidr_contains expects two arguments") };
        let ips = ip.to_array(args.number_rows)?;
        let ips_read = Ips::of(&ips)?;
        let found: BooleanArray = match cidr {
            ColumnarValue::Scalar(cidr) => {
                let Some(cidr) = cidr.try_as_str().flatten() else {
                    return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
                };
                let block = parse(cidr)?;
                (0..ips.len()).map(|row| ips_read.bytes(row).map(|ip| block.contains(ip))).collect()
            }
            ColumnarValue::Array(cidrs) => {
                let cidrs = cidrs.as_string::<i32>();
                let row_of = |row| {
                    let cidr = (!cidrs.is_null(row)).then(|| parse(cidrs.value(row))).transpose()?;
                    Ok(cidr.zip(ips_read.bytes(row)).map(|(block, ip)| block.contains(ip)))
                };
                (0..ips.len()).map(row_of).collect::<Result<_>>()?
            }
        };
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

fn parse(cidr: &str) -> Result<Block> {
    Block::parse(cidr).ok_or_else(|| DataFusionError::Execution(unread(cidr)))
}

fn unread(cidr: &str) -> String {
    let shown: String = cidr.chars().take(80).collect();
    format!("expected a CIDR block like 10.0.0.0/8, got {shown:?}")
}
