//! A place in a line of text, and errors that tell it.

use anyhow::{Result, anyhow};
use std::str::FromStr;

/// The rest of a line.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    number: usize,
    line: &'t str,
    rest: &'t str,
}

impl<'t> Cursor<'t> {
    /// The start of a line; lines count from 1.
    pub fn new(number: usize, line: &'t str) -> Cursor<'t> {
        Cursor {
            number,
            line,
            rest: line,
        }
    }

    /// An error at this place.
    pub fn error(&self, message: impl std::fmt::Display) -> anyhow::Error {
        let column = self.line.len() - self.rest.trim_start().len();
        let column = self.line[..column].chars().count() + 1;
        anyhow!("line {}, column {column}: {message}", self.number)
    }

    /// The error that something else stands here.
    pub fn expected(&self, what: &str) -> anyhow::Error {
        let mut at = *self;
        at.skip_spaces();
        let found: String = at.rest.chars().take(20).collect();
        match at.at_end() {
            true => at.error(format_args!("expected {what}, found the end of the line")),
            false => at.error(format_args!("expected {what}, found `{found}`")),
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether only a comment or nothing is left.
    pub fn at_end(&mut self) -> bool {
        self.skip_spaces();
        self.rest.is_empty() || self.rest.starts_with("//")
    }

    /// Fails unless only a comment or nothing is left.
    pub fn end(&mut self) -> Result<()> {
        match self.at_end() {
            true => Ok(()),
            false => Err(self.expected("the end of the line")),
        }
    }

    /// Takes this text, if it stands here.
    pub fn eat(&mut self, text: &str) -> bool {
        self.skip_spaces();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes this text, which must stand here.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        match self.eat(text) {
            true => Ok(()),
            false => Err(self.expected(&format!("`{text}`"))),
        }
    }

    /// Takes characters as long as they satisfy a condition; at least one.
    pub fn take(&mut self, what: &str, condition: impl Fn(char) -> bool) -> Result<&'t str> {
        self.skip_spaces();
        let len = self.rest.find(|c| !condition(c)).unwrap_or(self.rest.len());
        if len == 0 {
            return Err(self.expected(what));
        }
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a word of letters, digits and underscores.
    pub fn word(&mut self, what: &str) -> Result<&'t str> {
        self.take(what, |c| c.is_ascii_alphanumeric() || c == '_')
    }

    /// Takes a number.
    pub fn number<T: FromStr>(&mut self, what: &str) -> Result<T> {
        let start = *self;
        let text = self.take(what, |c| c.is_ascii_alphanumeric() || "+-.".contains(c))?;
        text.parse().map_err(|_| start.expected(what))
    }

    /// Takes `[a,b,..]`.
    pub fn list<T: FromStr>(&mut self, what: &str) -> Result<Vec<T>> {
        self.expect("[")?;
        let mut values = Vec::new();
        if self.eat("]") {
            return Ok(values);
        }
        loop {
            values.push(self.number(what)?);
            if self.eat("]") {
                return Ok(values);
            }
            self.expect(",")?;
        }
    }

    /// Takes a string in quotes.
    pub fn string(&mut self, what: &str) -> Result<String> {
        self.skip_spaces();
        let start = *self;
        if !self.eat("\"") {
            return Err(self.expected(what));
        }
        let mut out = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[i + 1..];
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, c @ ('"' | '\\'))) => out.push(c),
                    Some((_, 'u')) => {
                        let digits: String = chars
                            .by_ref()
                            .map(|(_, c)| c)
                            .skip_while(|&c| c == '{')
                            .take_while(|&c| c != '}')
                            .collect();
                        let c = u32::from_str_radix(&digits, 16)
                            .ok()
                            .and_then(char::from_u32);
                        out.push(
                            c.ok_or_else(|| start.error("a character that `\\u{..}` cannot be"))?,
                        );
                    }
                    _ => return Err(start.error("a string with an escape that is none")),
                },
                c => out.push(c),
            }
        }
        Err(start.error("a string without an end"))
    }
}
