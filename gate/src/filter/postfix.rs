//! Reads what binds tightest: literals, lists, fields, and calls on them.

use chrono::DateTime;
use schemas::address::Span;
use serde_json::Value;

use super::check::{self, Typed};
use super::lex::{Word, unexpected};
use super::parse::{Parser, shape};
use super::{Expr, FilterError, FilterFault, Test};
use crate::list::path::{Path, SEGMENTS_MAX};
use crate::list::shape::Shape;

const OPERAND: &str = "a field, a value, a function or (";
const FUNCTIONS: &str = "size, timestamp, cidr_contains, or after + and - duration";

impl Parser<'_> {
    pub(super) fn postfix(&mut self) -> Result<Typed, FilterError> {
        let mut value = self.primary()?;
        while self.skip(".") {
            let token = self.take();
            let Word::Name(name) = &token.word else {
                return Err(unexpected(token.column, "a function", &token.word.describe()));
            };
            value = self.method(value, name, token.column)?;
        }
        Ok(value)
    }

    fn primary(&mut self) -> Result<Typed, FilterError> {
        self.operand()?;
        let column = self.next().column;
        if let Some(value) = self.scalar()? {
            let shape = shape(&value);
            return Ok(Typed::new(Expr::Literal(value), shape, column));
        }
        if self.skip("(") {
            let inner = self.deeper(Self::any_of)?;
            self.sign(")")?;
            return Ok(inner);
        }
        if self.skip("[") {
            return self.entries(column);
        }
        let Word::Name(name) = &self.next().word else { return Err(self.expected(OPERAND)) };
        if name == "in" {
            return Err(self.expected(OPERAND));
        }
        let name = name.clone();
        self.take();
        if self.is("(") { self.deeper(|parser| parser.call(&name, column)) } else { self.field(name, column) }
    }

    fn entries(&mut self, column: usize) -> Result<Typed, FilterError> {
        let (mut entries, mut shapes) = (Vec::new(), Vec::new());
        while !self.skip("]") {
            if !entries.is_empty() {
                self.sign(",")?;
            }
            let Some(value) = self.scalar()? else {
                return Err(self.expected("a text, a number, true, false or null"));
            };
            shapes.push(shape(&value));
            entries.push(value);
        }
        let same = shapes.first().filter(|first| shapes.iter().all(|shape| shape == *first));
        let shape = Shape::List(Box::new(same.cloned().unwrap_or(Shape::Any)));
        Ok(Typed::new(Expr::Literal(Value::Array(entries)), shape, column))
    }

    /// A field: `obj.name`, `name`, `obj.metadata["cost-center"]`; or `time.now`.
    fn field(&mut self, first: String, column: usize) -> Result<Typed, FilterError> {
        let (mut names, mut called) = (vec![first], None);
        loop {
            if self.skip("[") {
                let token = self.take();
                let Word::Text(name) = token.word else {
                    return Err(unexpected(token.column, "the name of a field, as a text", &token.word.describe()));
                };
                self.sign("]")?;
                names.push(name);
            } else if self.skip(".") {
                let token = self.take();
                let Word::Name(name) = token.word else {
                    return Err(unexpected(token.column, "the name of a field", &token.word.describe()));
                };
                if self.is("(") {
                    called = Some((name, token.column));
                    break;
                }
                names.push(name);
            } else {
                break;
            }
        }
        let value = self.named(names, column)?;
        match called {
            Some((name, column)) => self.method(value, &name, column),
            None => Ok(value),
        }
    }

    fn named(&self, mut names: Vec<String>, column: usize) -> Result<Typed, FilterError> {
        if names.iter().map(String::as_str).eq(["time", "now"]) {
            return Ok(Typed::new(Expr::Now, Shape::Time, column));
        }
        let written = names.join(".");
        if names.first().is_some_and(|first| first == "obj") {
            names.remove(0);
        }
        let path = Path::new(names).ok_or_else(|| {
            let expected = format!("up to {SEGMENTS_MAX} names after obj, with dots between them");
            unexpected(column, &expected, &written)
        })?;
        match self.fields.shape(&path) {
            Ok(shape) => Ok(Typed::new(Expr::Field(path), shape, column)),
            Err(unknown) => {
                let error = unexpected(column, &unknown.expected(), &written);
                Err(FilterError { fault: FilterFault::UnknownField, ..error })
            }
        }
    }

    /// What follows the name of a function.
    fn call(&mut self, name: &str, column: usize) -> Result<Typed, FilterError> {
        self.sign("(")?;
        let value = match name {
            "size" => Typed::new(Expr::Size(Box::new(self.any_of()?.sized()?)), Shape::Number, column),
            "timestamp" => self.timestamp(column)?,
            "cidr_contains" => self.cidr_contains(column)?,
            _ => return Err(unexpected(column, FUNCTIONS, name)),
        };
        self.sign(")")?;
        Ok(value)
    }

    fn timestamp(&mut self, column: usize) -> Result<Typed, FilterError> {
        let of = self.any_of()?;
        if let Expr::Literal(Value::String(text)) = &of.expr {
            let expected = "a time of RFC 3339, like \"2026-01-31T00:00:00Z\"";
            let time = DateTime::parse_from_rfc3339(text).map_err(|_| value(of.column, expected, text))?;
            return Ok(Typed::new(Expr::Instant(time.to_utc()), Shape::Time, column));
        }
        let field = matches!(of.expr, Expr::Field(_)) && matches!(of.shape, Shape::Any | Shape::Text | Shape::Time);
        if !field {
            return Err(of.not("a text or a field with one"));
        }
        Ok(Typed::new(Expr::Timestamp(Box::new(of.expr)), Shape::Time, column))
    }

    fn cidr_contains(&mut self, column: usize) -> Result<Typed, FilterError> {
        let token = self.take();
        let expected = "a network, like \"10.0.0.0/8\"";
        let Word::Text(text) = &token.word else {
            return Err(unexpected(token.column, expected, &token.word.describe()));
        };
        let network: Span = text.parse().map_err(|_| value(token.column, expected, text))?;
        self.sign(",")?;
        let of = self.any_of()?.addresses()?;
        Ok(Typed::new(Expr::Within(network, Box::new(of)), Shape::Bool, column))
    }

    /// A function that is called on a value.
    fn method(&mut self, on: Typed, name: &str, column: usize) -> Result<Typed, FilterError> {
        if name == "size" {
            self.sign("(")?;
            self.sign(")")?;
            let column = on.column;
            return Ok(Typed::new(Expr::Size(Box::new(on.sized()?)), Shape::Number, column));
        }
        let Some(test) = Test::ALL.into_iter().find(|test| test.name() == name) else {
            return Err(unexpected(column, "startsWith, endsWith, contains or size", name));
        };
        self.sign("(")?;
        let with = self.deeper(Self::any_of)?;
        self.sign(")")?;
        check::test(test, on, with)
    }
}

fn value(column: usize, expected: &str, found: &str) -> FilterError {
    FilterError { fault: FilterFault::Value, ..unexpected(column, expected, found) }
}
