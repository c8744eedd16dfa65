//! Writes filters, so that reading what is written gives the same filter.

use std::fmt::{self, Display, Write};

use chrono::SecondsFormat;
use serde_json::Value;

use super::{Expr, Filter};

impl Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => literal(value, f),
            Self::Field(path) => {
                f.write_str("obj")?;
                path.names().iter().try_for_each(|name| segment(name, f))
            }
            Self::Now => f.write_str("time.now"),
            Self::Instant(time) => {
                write!(f, "timestamp(\"{}\")", time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
            }
            Self::Timestamp(of) => write!(f, "timestamp({of})"),
            Self::Moved(of, steps) => {
                operand(of, f)?;
                steps.iter().try_for_each(|step| {
                    let sign = if *step < 0 { '-' } else { '+' };
                    write!(f, " {sign} duration(\"{}ms\")", step.unsigned_abs())
                })
            }
            Self::Size(of) => write!(f, "size({of})"),
            Self::Test(test, on, with) => {
                operand(on, f)?;
                write!(f, ".{}({with})", test.name())
            }
            Self::Within(network, of) => write!(f, "cidr_contains(\"{network}\", {of})"),
            Self::Compare(sign, one, other) => {
                side(one, f)?;
                write!(f, " {} ", sign.sign())?;
                side(other, f)
            }
            Self::Not(of) => {
                f.write_char('!')?;
                if matches!(**of, Self::Not(_)) { of.fmt(f) } else { operand(of, f) }
            }
            Self::And(parts) => joined(parts, " && ", f),
            Self::Or(parts) => joined(parts, " || ", f),
        }
    }
}

fn joined(parts: &[Expr], sign: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(sign)?;
        }
        let nested = matches!(part, Expr::And(_) | Expr::Or(_));
        if nested { write!(f, "({part})")? } else { part.fmt(f)? }
    }
    Ok(())
}

/// One side of a comparison.
fn side(expr: &Expr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if matches!(expr, Expr::Moved(..) | Expr::Not(_)) { expr.fmt(f) } else { operand(expr, f) }
}

/// What binds tightest, in parentheses if it does not.
fn operand(expr: &Expr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let loose = matches!(expr, Expr::Moved(..) | Expr::Compare(..) | Expr::Not(_) | Expr::And(_) | Expr::Or(_));
    if loose { write!(f, "({expr})") } else { expr.fmt(f) }
}

fn segment(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut letters = name.chars();
    let plain = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|next| next.is_ascii_alphanumeric() || next == '_');
    if plain {
        return write!(f, ".{name}");
    }
    f.write_char('[')?;
    text(name, f)?;
    f.write_char(']')
}

fn literal(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::String(string) => text(string, f),
        Value::Array(entries) => {
            f.write_char('[')?;
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    f.write_str(", ")?;
                }
                literal(entry, f)?;
            }
            f.write_char(']')
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => write!(f, "{value}"),
    }
}

fn text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}
