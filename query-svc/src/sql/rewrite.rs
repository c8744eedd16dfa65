//! Questions about the text of an address or a protocol, asked of what the file keeps instead.
//!
//! `src` in SQL is text made of 16 bytes. `src = '10.0.0.1'` as it stands would read every row; as a comparison of
//! bytes it prunes files by the catalogue, row groups by their statistics and bloom filters, and rows before they
//! are decoded. Every rewrite here gives the same answer as the text would.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use schemas::address::Span;
use schemas::flow::{ADDRESS_BYTES, address_bytes};

use super::functions::block::{Block, Bytes16, prefix, prefix_text};
use super::functions::{ADDRESS_TEXT, CIDR_CONTAINS, IP_FAMILY, IP_PREFIX, PROTOCOL_TEXT, protocol_number};

/// The optimizer rule. It belongs right behind the one that pushes filters below projections.
#[derive(Debug)]
pub(super) struct AskStored;

impl OptimizerRule for AskStored {
    fn name(&self) -> &str {
        "ask_stored"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_down(|expr| Ok(rewrite(expr)))?.update_data(|expr| name.restore(expr)))
        })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "DataFusion's enums are long and grow; only these matter here")]
fn rewrite(expr: Expr) -> Transformed<Expr> {
    let found = match &expr {
        Expr::BinaryExpr(compared) => comparison(compared),
        Expr::InList(list) => in_list(list),
        Expr::ScalarFunction(call) => function(call),
        _ => None,
    };
    found.map_or_else(|| Transformed::no(expr), Transformed::yes)
}

/// A column whose text is asked for.
enum Stored<'a> {
    Address(&'a Expr),
    Protocol(&'a Expr),
}

impl<'a> Stored<'a> {
    fn below(expr: &'a Expr) -> Option<Self> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return None };
        match (func.name(), args.as_slice()) {
            (ADDRESS_TEXT, [column]) => Some(Self::Address(column)),
            (PROTOCOL_TEXT, [column]) => Some(Self::Protocol(column)),
            _ => None,
        }
    }

    fn column(&self) -> Expr {
        match self {
            Self::Address(column) | Self::Protocol(column) => Expr::clone(column),
        }
    }

    /// What is stored where the text is `text`; `None` if no row can have this text.
    fn value(&self, text: &str) -> Option<Expr> {
        match self {
            Self::Address(_) => {
                let address: std::net::IpAddr = text.parse().ok()?;
                (address.to_canonical().to_string() == text).then(|| bytes(address_bytes(address)))
            }
            Self::Protocol(_) => protocol_number(text).map(lit),
        }
    }
}

fn comparison(compared: &BinaryExpr) -> Option<Expr> {
    let BinaryExpr { left, op, right } = compared;
    if !matches!(op, Operator::Eq | Operator::NotEq) {
        return None;
    }
    if let (Some(Stored::Address(left)), Some(Stored::Address(right))) = (Stored::below(left), Stored::below(right)) {
        return Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left.clone()), *op, Box::new(right.clone()))));
    }
    let (asked, value) = match (literal(left), literal(right)) {
        (None, Some(value)) => (left, value),
        (Some(value), None) => (right, value),
        (None, None) | (Some(_), Some(_)) => return None,
    };
    let matches = match (Stored::below(asked), value.try_as_str().flatten()) {
        (Some(stored), Some(text)) => match stored.value(text) {
            Some(value) if *op == Operator::NotEq => return Some(stored.column().not_eq(value)),
            Some(value) => one_of(stored.column(), value),
            None => lit(false),
        },
        (None, _) if *op == Operator::Eq && is_stored(asked, value) => {
            return Some(one_of(Expr::clone(asked), lit(value.clone())));
        }
        _ => {
            let (column, block) = block_where(asked, value)?;
            block.map_or_else(|| lit(false), |block| within(column, block))
        }
    };
    Some(if *op == Operator::Eq { matches } else { !matches })
}

fn in_list(list: &InList) -> Option<Expr> {
    let stored = Stored::below(&list.expr)?;
    let texts: Option<Vec<&str>> = list.list.iter().map(text_of).collect();
    let values: Vec<Expr> = texts?.into_iter().filter_map(|text| stored.value(text)).collect();
    Some(match values.is_empty() {
        true => lit(list.negated),
        false => stored.column().in_list(values, list.negated),
    })
}

fn function(call: &ScalarFunction) -> Option<Expr> {
    match (call.name(), call.args.as_slice()) {
        (CIDR_CONTAINS, [cidr, ip]) => {
            let column = address_below(ip)?;
            Some(match text_of(cidr).and_then(Block::parse) {
                Some(block) => within(column, block),
                None => again(call, vec![cidr.clone(), column]),
            })
        }
        (IP_PREFIX, [ip, bits]) => Some(again(call, vec![address_below(ip)?, bits.clone()])),
        (IP_FAMILY, [ip]) => Some(again(call, vec![address_below(ip)?])),
        _ => None,
    }
}

/// The column and the block that `ip_prefix(ip, bits) = value` or `ip_family(ip) = value` asks for; no block if no row
/// can answer.
fn block_where(asked: &Expr, value: &ScalarValue) -> Option<(Expr, Option<Block>)> {
    let Expr::ScalarFunction(call) = asked else { return None };
    match (call.name(), call.args.as_slice(), value) {
        (IP_FAMILY, [ip], ScalarValue::Int64(Some(family))) => {
            let block = match family {
                4 => Some(Block::IPV4),
                6 => Some(Block::IPV6),
                _ => None,
            };
            Some((address_below(ip)?, block))
        }
        (IP_PREFIX, [ip, bits], value) => {
            let ScalarValue::Int64(Some(bits)) = literal(bits)? else { return None };
            let text = value.try_as_str().flatten()?;
            let same = |span: &Span| prefix(span.first(), *bits).is_some_and(|block| prefix_text(block) == text);
            let block = text.parse().ok().filter(same).map(Block::of);
            Some((address_below(ip)?, block))
        }
        _ => None,
    }
}

fn within(column: Expr, block: Block) -> Expr {
    if block.first == block.last {
        return one_of(column, bytes(block.first));
    }
    let inside = column.clone().gt_eq(bytes(block.first)).and(column.clone().lt_eq(bytes(block.last)));
    match block.without_ipv4 {
        true => {
            let Block { first, last, .. } = Block::IPV4;
            inside.and(column.clone().lt(bytes(first)).or(column.gt(bytes(last))))
        }
        false => inside,
    }
}

/// Equality, as a list of one.
///
/// DataFusion 55 knows that a column with one value needs no sorting, takes what a function makes of it for constant in
/// each partition only, and then refuses to merge the partitions ("SanityCheckPlan"). Of a list it draws no conclusion,
/// while bloom filters and statistics answer both alike. Its own simplifier undoes this, so it is done in every pass.
fn one_of(column: Expr, value: Expr) -> Expr {
    column.in_list(vec![value], false)
}

/// Whether this is a column, compared with a value of a type that only addresses and protocols have.
fn is_stored(column: &Expr, value: &ScalarValue) -> bool {
    let stored = matches!(value, ScalarValue::FixedSizeBinary(ADDRESS_BYTES, Some(_)) | ScalarValue::Int16(Some(_)));
    stored && matches!(column, Expr::Column(_))
}

fn again(call: &ScalarFunction, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func: call.func.clone(), args })
}

/// The address column that this is the text of.
fn address_below(ip: &Expr) -> Option<Expr> {
    match Stored::below(ip)? {
        Stored::Address(column) => Some(column.clone()),
        Stored::Protocol(_) => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "DataFusion's enums are long and grow; only these matter here")]
fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn text_of(expr: &Expr) -> Option<&str> {
    literal(expr)?.try_as_str().flatten()
}

fn bytes(address: Bytes16) -> Expr {
    lit(ScalarValue::FixedSizeBinary(ADDRESS_BYTES, Some(address.to_vec())))
}
