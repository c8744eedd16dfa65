//! What a caller asks: one query and its parameters.

use datafusion::common::ScalarValue;
use datafusion::sql::parser::{DFParser, Statement as Parsed};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use schemas::reason::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refusal::SqlError;

/// The body of `POST /sql`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// One SELECT, WITH or EXPLAIN.
    #[schema(
        example = "SELECT src, sum(bytes_sent) AS sent FROM flows WHERE verdict = $1 GROUP BY src ORDER BY sent DESC LIMIT 10"
    )]
    pub query: String,
    /// The values of `$1`, `$2` …: null, booleans, numbers and strings.
    #[serde(default)]
    #[schema(value_type = Vec<Value>)]
    pub params: Vec<Value>,
}

const QUERY_BYTES_MAX: usize = 64 << 10;
/// Each may be one level deeper than the one before: `1+1+1`.
const OPERATORS_MAX: usize = 2_000;
const PARAMS_MAX: usize = 1_000;

impl Query {
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), params: Vec::new() }
    }

    /// The length of the text, of the query and of its parameters.
    pub(super) fn bytes(&self) -> usize {
        self.query.len() + self.params.iter().filter_map(Value::as_str).map(str::len).sum::<usize>()
    }

    /// Reads the query as one statement that changes nothing.
    pub(super) fn parse(&self) -> Result<Parsed, SqlError> {
        if self.query.len() > QUERY_BYTES_MAX {
            return Err(invalid(format!("a query has at most {QUERY_BYTES_MAX} bytes")));
        }
        self.check_tokens()?;
        let mut statements = DFParser::parse_sql(&self.query).map_err(SqlError::planning)?;
        match (statements.pop_front(), statements.len()) {
            (None, _) => Err(invalid("there is no query")),
            (Some(statement), 0) if only_reads(&statement) => Ok(statement),
            (Some(_), 0) => Err(forbidden("only SELECT, WITH and EXPLAIN are allowed")),
            (Some(_), _) => Err(forbidden("only one statement is allowed")),
        }
    }

    /// Refuses queries whose operators could be nested deeper than a thread's stack, and binary data: as text in a
    /// list it takes twice its bytes, and again with every list around that.
    fn check_tokens(&self) -> Result<(), SqlError> {
        // What cannot be split into tokens cannot be parsed either, and the parser says why.
        let tokens = Tokenizer::new(&GenericDialect {}, &self.query).tokenize().unwrap_or_default();
        if tokens.iter().any(is_binary) {
            return Err(invalid("there is no binary data in queries"));
        }
        let nesting = tokens.iter().filter(|token| nests(token)).count();
        match nesting > OPERATORS_MAX {
            true => Err(invalid(format!("a query has at most {OPERATORS_MAX} operators and keywords"))),
            false => Ok(()),
        }
    }

    pub(super) fn scalars(&self) -> Result<Vec<ScalarValue>, SqlError> {
        if self.params.len() > PARAMS_MAX {
            return Err(invalid(format!("a query has at most {PARAMS_MAX} parameters")));
        }
        self.params.iter().map(scalar).collect()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the planner knows no other binary data")]
fn is_binary(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword == Keyword::BYTEA,
        Token::HexStringLiteral(_) => true,
        _ => false,
    }
}

/// Whether a token may put one expression, table or query into another.
#[expect(clippy::wildcard_enum_match_arm, reason = "every token that is not known to be flat counts")]
fn nests(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Placeholder(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::RParen
        | Token::RBracket
        | Token::EOF => false,
        _ => true,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "DataFusion's enums are long and grow; only these matter here")]
fn only_reads(statement: &Parsed) -> bool {
    match statement {
        Parsed::Statement(statement) => match statement.as_ref() {
            Statement::Query(_) | Statement::ExplainTable { .. } => true,
            Statement::Explain { statement, .. } => matches!(statement.as_ref(), Statement::Query(_)),
            _ => false,
        },
        Parsed::Explain(explained) => {
            matches!(explained.statement.as_ref(), Parsed::Statement(inner) if matches!(inner.as_ref(), Statement::Query(_)))
        }
        Parsed::CreateExternalTable(_) | Parsed::CopyTo(_) | Parsed::Reset(_) => false,
    }
}

fn scalar(value: &Value) -> Result<ScalarValue, SqlError> {
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::from(*value),
        Value::String(value) => ScalarValue::from(value.as_str()),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => ScalarValue::from(number),
            (None, Some(number), _) => ScalarValue::from(number),
            (None, None, number) => ScalarValue::Float64(number),
        },
        Value::Array(_) | Value::Object(_) => {
            return Err(invalid("a parameter is null, a boolean, a number or a string"));
        }
    })
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(Reason::SqlInvalid, message)
}

pub(super) fn forbidden(message: impl Into<String>) -> SqlError {
    SqlError::new(Reason::SqlForbidden, message)
}
