//! Words of a filter: names, texts, numbers and signs, each with its column.

use std::iter::Peekable;
use std::str::Chars;

use super::{FilterError, FilterFault};

const SIGNS: [&str; 17] = ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "+", "-"];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Name(String),
    Text(String),
    /// As it stands; whether it is a number shows when it is read.
    Number(String),
    Sign(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) word: Word,
    /// In characters, from 1.
    pub(super) column: usize,
}

impl Word {
    /// The word for a person.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => number.clone(),
            Self::Sign(sign) => (*sign).to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    column: usize,
}

/// The words of a text, with [`Word::End`] after the last.
pub(super) fn words(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut lexer = Lexer { rest: text.chars().peekable(), column: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.while_is(char::is_whitespace);
        let column = lexer.column;
        let word = lexer.word(column)?;
        let ended = word == Word::End;
        tokens.push(Token { word, column });
        if ended {
            return Ok(tokens);
        }
    }
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        self.column += 1;
        Some(next)
    }

    fn next_is(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        self.rest.peek().is_some_and(|next| wanted(*next))
    }

    fn while_is(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while self.next_is(&wanted) {
            text.extend(self.next());
        }
        text
    }

    fn word(&mut self, column: usize) -> Result<Word, FilterError> {
        match self.rest.peek().copied() {
            None => Ok(Word::End),
            Some('"' | '\'') => self.text(column),
            Some(first) if first.is_ascii_digit() => Ok(self.number()),
            Some(first) if first.is_ascii_alphabetic() || first == '_' => {
                Ok(Word::Name(self.while_is(|next| next.is_ascii_alphanumeric() || next == '_')))
            }
            Some(first) => self.sign(first, column),
        }
    }

    fn text(&mut self, column: usize) -> Result<Word, FilterError> {
        let quote = self.next();
        let mut text = String::new();
        loop {
            let at = self.column;
            match self.next() {
                None => return Err(unexpected(column, "a quote that ends this text", "the end")),
                next if next == quote => return Ok(Word::Text(text)),
                Some('\\') => text.push(match self.next() {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(other @ ('\\' | '"' | '\'')) => other,
                    other => {
                        let found = other.map_or("the end".to_owned(), |other| format!("\\{other}"));
                        return Err(unexpected(at, "\\\\, \\\", \\', \\n, \\r or \\t", &found));
                    }
                }),
                Some(other) => text.push(other),
            }
        }
    }

    fn number(&mut self) -> Word {
        let digit = |next: char| next.is_ascii_digit();
        let mut number = self.while_is(digit);
        if self.next_is(|next| next == '.') {
            number.extend(self.next());
            number.push_str(&self.while_is(digit));
        }
        if self.next_is(|next| matches!(next, 'e' | 'E')) {
            number.extend(self.next());
            if self.next_is(|next| matches!(next, '+' | '-')) {
                number.extend(self.next());
            }
        }
        // Letters that follow belong to what is then no number: 12abc.
        number.push_str(&self.while_is(|next| next.is_ascii_alphanumeric() || next == '_'));
        Word::Number(number)
    }

    fn sign(&mut self, first: char, column: usize) -> Result<Word, FilterError> {
        self.next();
        let two = self.rest.peek().map(|second| format!("{first}{second}"));
        if let Some(sign) = SIGNS.iter().find(|sign| two.as_deref() == Some(**sign)) {
            self.next();
            return Ok(Word::Sign(sign));
        }
        let one = first.to_string();
        let found = SIGNS.iter().find(|sign| **sign == one);
        found
            .map(|sign| Word::Sign(sign))
            .ok_or_else(|| unexpected(column, "a name, a text, a number or an operator", &one))
    }
}

pub(super) fn unexpected(column: usize, expected: &str, found: &str) -> FilterError {
    // What was found is the caller's own text: enough of it to know it again.
    let mut found = found.to_owned();
    if let Some((end, _)) = found.char_indices().nth(60) {
        found.truncate(end);
        found.push('…');
    }
    FilterError { fault: FilterFault::Syntax, column, expected: expected.to_owned(), found }
}
