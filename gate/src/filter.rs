//! Filters: `obj.enabled && size(obj.tags) > 0`, a small part of CEL over the JSON of an item.
//!
//! A filter is read once, against the fields that the items have, and refused there with the column of what does not
//! fit. Evaluating it cannot fail: what is absent is null, and values of different kinds are neither equal nor ordered.

mod lex;
mod parse;
mod postfix;
mod check;
mod print;
mod eval;
mod span;

use chrono::{DateTime, Utc};
use schemas::address::Span;
use schemas::reason::Reason;
use serde_json::{Value, json};

use crate::list::Fields;
use crate::list::path::Path;
use crate::problem::Problem;

/// The longest filter that is read.
pub const FILTER_BYTES_MAX: usize = 4 * 1024;
/// How deep its parentheses and negations go.
pub const FILTER_DEPTH_MAX: usize = 32;
/// How many fields, values and functions it has at most; a list counts as one.
pub const FILTER_OPERANDS_MAX: usize = 200;

/// An expression that holds for an item or does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    expr: Expr,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: expected {expected}, found {found}")]
pub struct FilterError {
    pub fault: FilterFault,
    /// Where, in characters from 1.
    pub column: usize,
    pub expected: String,
    pub found: String,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterFault {
    /// Longer than [`FILTER_BYTES_MAX`], or of more than [`FILTER_OPERANDS_MAX`].
    TooLong,
    /// Deeper than [`FILTER_DEPTH_MAX`].
    TooDeep,
    /// Something else stands where the grammar wants a certain thing.
    Syntax,
    /// A field that the items do not have.
    UnknownField,
    /// A value of a kind that the operator or function has no meaning for.
    Kind,
    /// A text that is no timestamp, duration or address.
    Value,
}

/// What an expression consists of. `And` and `Or` have at least two parts.
#[derive(Debug, Clone, PartialEq)]
enum Expr {
    /// Null, a truth value, a number, a text, or a list of these.
    Literal(Value),
    Field(Path),
    Now,
    Instant(DateTime<Utc>),
    /// The time that a text names.
    Timestamp(Box<Expr>),
    /// A time, moved by milliseconds one after the other.
    Moved(Box<Expr>, Vec<i64>),
    Size(Box<Expr>),
    Test(Test, Box<Expr>, Box<Expr>),
    Within(Span, Box<Expr>),
    Compare(Compare, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

/// A function that is called on a value with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Filter {
    /// Reads a filter over items that have these fields.
    pub fn parse(text: &str, fields: &Fields) -> Result<Self, FilterError> {
        parse::parse(text, fields).map(|expr| Self { expr })
    }

    /// Whether it holds for an item. `now` is what `time.now` stands for.
    pub fn matches(&self, item: &Value, now: DateTime<Utc>) -> bool {
        eval::holds(&self.expr, item, now)
    }

    /// The fields that it looks at; one may come up twice.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        self.expr.collect(&mut paths);
        paths
    }
}

impl Expr {
    fn collect<'a>(&'a self, paths: &mut Vec<&'a Path>) {
        match self {
            Self::Literal(_) | Self::Now | Self::Instant(_) => {}
            Self::Field(path) => paths.push(path),
            Self::Timestamp(of) | Self::Moved(of, _) | Self::Size(of) | Self::Within(_, of) | Self::Not(of) => {
                of.collect(paths);
            }
            Self::Test(_, one, other) | Self::Compare(_, one, other) => {
                one.collect(paths);
                other.collect(paths);
            }
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.collect(paths)),
        }
    }
}

impl Test {
    const ALL: [Self; 3] = [Self::StartsWith, Self::EndsWith, Self::Contains];

    fn name(self) -> &'static str {
        match self {
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
        }
    }
}

impl Compare {
    const ALL: [Self; 7] =
        [Self::Equal, Self::Unequal, Self::LessOrEqual, Self::Less, Self::GreaterOrEqual, Self::Greater, Self::In];

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }
}

impl From<FilterError> for Problem {
    fn from(error: FilterError) -> Self {
        let details = json!({"column": error.column, "expected": error.expected, "found": error.found});
        Self::new(Reason::FilterInvalid, error.to_string()).field("filter").details(details)
    }
}

#[cfg(test)]
mod tests;
