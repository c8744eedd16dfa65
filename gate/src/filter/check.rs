//! Which kinds of values the operators and functions have a meaning for.

use super::{Compare, Expr, FilterError, FilterFault, Test};
use crate::list::shape::Shape;

/// An expression with what is known of its value, and where it stands.
pub(super) struct Typed {
    pub(super) expr: Expr,
    pub(super) shape: Shape,
    pub(super) column: usize,
}

impl Typed {
    pub(super) fn new(expr: Expr, shape: Shape, column: usize) -> Self {
        Self { expr, shape, column }
    }

    /// The expression, if it is true or false.
    pub(super) fn truth(self) -> Result<Expr, FilterError> {
        if matches!(self.shape, Shape::Any | Shape::Bool) {
            return Ok(self.expr);
        }
        Err(self.not("a comparison, or something that is true or false"))
    }

    /// The expression, if it may be a time.
    pub(super) fn time(self) -> Result<Expr, FilterError> {
        if matches!(self.shape, Shape::Any | Shape::Time) {
            return Ok(self.expr);
        }
        Err(self.not("a time before + or -, as only durations are added"))
    }

    /// The expression, if it has a size.
    pub(super) fn sized(self) -> Result<Expr, FilterError> {
        if matches!(self.shape, Shape::Any | Shape::Text | Shape::List(_) | Shape::Object(_) | Shape::Map(_)) {
            return Ok(self.expr);
        }
        Err(self.not("a text or a list"))
    }

    /// The expression, if it may be or contain an address.
    pub(super) fn addresses(self) -> Result<Expr, FilterError> {
        let of = if let Shape::List(entries) = &self.shape { entries } else { &self.shape };
        if matches!(of, Shape::Any | Shape::Text) {
            return Ok(self.expr);
        }
        Err(self.not("a field with an address or a list of addresses"))
    }

    pub(super) fn not(&self, expected: &str) -> FilterError {
        fault(self.column, expected, self.shape.describe())
    }
}

/// A comparison, if its sides can be compared.
pub(super) fn compare(sign: Compare, one: Typed, other: Typed) -> Result<Typed, FilterError> {
    match sign {
        Compare::In => contained(&one, &other)?,
        Compare::Equal | Compare::Unequal => alike(&one.shape, &other)?,
        Compare::Less | Compare::LessOrEqual | Compare::Greater | Compare::GreaterOrEqual => {
            for side in [&one, &other] {
                if !matches!(side.shape, Shape::Any | Shape::Number | Shape::Text | Shape::Time) {
                    return Err(side.not("a number, a text or a time, which have an order"));
                }
            }
            alike(&one.shape, &other)?;
        }
    }
    let column = one.column;
    let expr = Expr::Compare(sign, Box::new(one.expr), Box::new(other.expr));
    Ok(Typed::new(expr, Shape::Bool, column))
}

/// A test of a text or list, if it is one and can contain the other.
pub(super) fn test(test: Test, one: Typed, other: Typed) -> Result<Typed, FilterError> {
    match (&one.shape, test) {
        (Shape::Any, _) => {}
        (Shape::List(entries), Test::Contains) => alike(entries, &other)?,
        (Shape::Text, _) => {
            if !matches!(other.shape, Shape::Any | Shape::Text) {
                return Err(other.not("a text"));
            }
        }
        (_, Test::Contains) => return Err(one.not("a text or a list before .contains")),
        (_, Test::StartsWith | Test::EndsWith) => {
            return Err(one.not(&format!("a text before .{}", test.name())));
        }
    }
    let column = one.column;
    Ok(Typed::new(Expr::Test(test, Box::new(one.expr), Box::new(other.expr)), Shape::Bool, column))
}

fn contained(one: &Typed, other: &Typed) -> Result<(), FilterError> {
    match &other.shape {
        Shape::Any => Ok(()),
        Shape::List(entries) => alike(entries, one),
        Shape::Object(_) | Shape::Map(_) if matches!(one.shape, Shape::Any | Shape::Text) => Ok(()),
        Shape::Object(_) | Shape::Map(_) => Err(one.not("a text, as the keys of an object are")),
        Shape::Null | Shape::Bool | Shape::Number | Shape::Text | Shape::Time => Err(other.not("a list after in")),
    }
}

/// Whether a value can equal one of this shape.
fn alike(shape: &Shape, other: &Typed) -> Result<(), FilterError> {
    let fits = match (shape, &other.shape) {
        (Shape::Any | Shape::Null, _) | (_, Shape::Any | Shape::Null) => true,
        (Shape::Object(_) | Shape::Map(_), Shape::Object(_) | Shape::Map(_)) => true,
        (Shape::List(one), Shape::List(entries)) => {
            return alike(one, &Typed::new(Expr::Now, (**entries).clone(), other.column));
        }
        (one, another) => one == another,
    };
    match (shape, fits) {
        (_, true) => Ok(()),
        (Shape::Time, _) if other.shape == Shape::Text => {
            Err(other.not("a time, like timestamp(\"2026-01-31T00:00:00Z\")"))
        }
        (Shape::List(_), _) => Err(other.not("a list, or the value before in: \"x\" in obj.list")),
        (shape, _) => Err(other.not(&format!("{}, as it is compared with one", shape.describe()))),
    }
}

pub(super) fn fault(column: usize, expected: &str, found: &str) -> FilterError {
    FilterError { fault: FilterFault::Kind, column, expected: expected.to_owned(), found: found.to_owned() }
}
