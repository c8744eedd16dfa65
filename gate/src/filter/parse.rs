//! Reads filters: from the loosest operator, `||`, down to names and literals.

use serde_json::{Number, Value};

use super::check::{self, Typed};
use super::lex::{Token, Word, unexpected, words};
use super::{Compare, Expr, FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_OPERANDS_MAX, FilterError, FilterFault, span};
use crate::list::Fields;
use crate::list::shape::Shape;

pub(super) struct Parser<'a> {
    tokens: std::vec::IntoIter<Token>,
    next: Token,
    depth: usize,
    operands: usize,
    pub(super) fields: &'a Fields,
}

pub(super) fn parse(text: &str, fields: &Fields) -> Result<Expr, FilterError> {
    if text.len() > FILTER_BYTES_MAX {
        let error = unexpected(1, &format!("at most {FILTER_BYTES_MAX} bytes"), &format!("{} bytes", text.len()));
        return Err(FilterError { fault: FilterFault::TooLong, ..error });
    }
    let mut tokens = words(text)?.into_iter();
    let next = tokens.next().unwrap_or(Token { word: Word::End, column: 1 });
    let mut parser = Parser { tokens, next, depth: 0, operands: 0, fields };
    let expr = parser.any_of()?.truth()?;
    if parser.next.word == Word::End { Ok(expr) } else { Err(parser.expected("an operator or the end")) }
}

impl Parser<'_> {
    /// Takes the next word. After the last there is always the end.
    pub(super) fn take(&mut self) -> Token {
        let end = Token { word: Word::End, column: self.next.column };
        std::mem::replace(&mut self.next, self.tokens.next().unwrap_or(end))
    }

    pub(super) fn next(&self) -> &Token {
        &self.next
    }

    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(&self.next.word, Word::Sign(next) if *next == sign)
    }

    /// Takes the next word if it is this sign.
    pub(super) fn skip(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.take();
        }
        found
    }

    pub(super) fn sign(&mut self, sign: &str) -> Result<(), FilterError> {
        if self.skip(sign) { Ok(()) } else { Err(self.expected(sign)) }
    }

    pub(super) fn expected(&self, what: &str) -> FilterError {
        unexpected(self.next.column, what, &self.next.word.describe())
    }

    /// Goes one level down, unless that is too deep.
    pub(super) fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        if self.depth == FILTER_DEPTH_MAX {
            let error = self.expected(&format!("at most {FILTER_DEPTH_MAX} levels of parentheses and negations"));
            return Err(FilterError { fault: FilterFault::TooDeep, ..error });
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Counts one more operand, unless they are too many.
    pub(super) fn operand(&mut self) -> Result<(), FilterError> {
        if self.operands == FILTER_OPERANDS_MAX {
            let error = self.expected(&format!("at most {FILTER_OPERANDS_MAX} fields, values and functions"));
            return Err(FilterError { fault: FilterFault::TooLong, ..error });
        }
        self.operands += 1;
        Ok(())
    }

    pub(super) fn any_of(&mut self) -> Result<Typed, FilterError> {
        self.chain("||", Self::all_of, Expr::Or)
    }

    fn all_of(&mut self) -> Result<Typed, FilterError> {
        self.chain("&&", Self::comparison, Expr::And)
    }

    fn chain(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Result<Typed, FilterError>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Typed, FilterError> {
        let first = part(self)?;
        if !self.is(sign) {
            return Ok(first);
        }
        let column = first.column;
        let mut parts = vec![first.truth()?];
        while self.skip(sign) {
            parts.push(part(self)?.truth()?);
        }
        Ok(Typed::new(join(parts), Shape::Bool, column))
    }

    fn comparison(&mut self) -> Result<Typed, FilterError> {
        let one = self.sum()?;
        let sign = Compare::ALL.into_iter().find(|sign| match &self.next.word {
            Word::Sign(next) => *next == sign.sign(),
            Word::Name(name) => *sign == Compare::In && name == sign.sign(),
            Word::Text(_) | Word::Number(_) | Word::End => false,
        });
        let Some(sign) = sign else { return Ok(one) };
        self.take();
        let other = self.sum()?;
        check::compare(sign, one, other)
    }

    /// A value, or a time with durations added to it.
    fn sum(&mut self) -> Result<Typed, FilterError> {
        let base = self.unary()?;
        if !self.is("+") && !self.is("-") {
            return Ok(base);
        }
        let column = base.column;
        let (base, mut steps) = (base.time()?, Vec::new());
        loop {
            let back = self.is("-");
            if !back && !self.is("+") {
                return Ok(Typed::new(Expr::Moved(Box::new(base), steps), Shape::Time, column));
            }
            self.take();
            let millis = self.duration()?;
            steps.push(if back { -millis } else { millis });
        }
    }

    fn duration(&mut self) -> Result<i64, FilterError> {
        let what = "duration(\"24h\")";
        if !matches!(&self.next.word, Word::Name(name) if name == "duration") {
            return Err(self.expected(what));
        }
        self.take();
        self.sign("(")?;
        let token = self.take();
        let Word::Text(text) = &token.word else {
            return Err(unexpected(token.column, "a text like \"24h\"", &token.word.describe()));
        };
        let millis = span::parse(text).ok_or_else(|| {
            let error = unexpected(token.column, "a duration in d, h, m, s and ms, like \"1h30m\"", text);
            FilterError { fault: FilterFault::Value, ..error }
        })?;
        self.sign(")")?;
        Ok(millis)
    }

    fn unary(&mut self) -> Result<Typed, FilterError> {
        let column = self.next.column;
        if !self.skip("!") {
            return self.postfix();
        }
        let of = self.deeper(Self::unary)?.truth()?;
        Ok(Typed::new(Expr::Not(Box::new(of)), Shape::Bool, column))
    }

    /// A literal that is no list, if one comes next.
    pub(super) fn scalar(&mut self) -> Result<Option<Value>, FilterError> {
        let value = match &self.next.word {
            Word::Text(text) => Value::String(text.clone()),
            Word::Name(name) => match name.as_str() {
                "null" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => return Ok(None),
            },
            Word::Number(number) => self.number(number)?,
            Word::Sign("-") => {
                self.take();
                let Word::Number(number) = &self.next.word else { return Err(self.expected("a number after -")) };
                self.number(&format!("-{number}"))?
            }
            Word::Sign(_) | Word::End => return Ok(None),
        };
        self.take();
        Ok(Some(value))
    }

    fn number(&self, text: &str) -> Result<Value, FilterError> {
        let number = serde_json::from_str::<Number>(text);
        number.map(Value::Number).map_err(|_| unexpected(self.next.column, "a number", text))
    }
}

/// The shape of a literal that is no list.
pub(super) fn shape(value: &Value) -> Shape {
    match value {
        Value::Null => Shape::Null,
        Value::Bool(_) => Shape::Bool,
        Value::Number(_) => Shape::Number,
        Value::String(_) => Shape::Text,
        Value::Array(_) | Value::Object(_) => Shape::Any,
    }
}
