//! Texts, numbers and words, and what stands in their place in files that people wrote.

use super::super::Json;
use super::super::text::{self, BadText};
use super::{Read, Reader, Stop, is_of_word};
use crate::policy::plain;

/// Bytes of the text that a message repeats.
const MOST_QUOTED: usize = 60;

impl<'a> Reader<'a> {
    /// A text; [`None`] when it is none, and that was reported.
    pub(super) fn string(&mut self) -> Read<Option<String>> {
        let opening = self.at;
        let (bad, end) = match text::read(self.text, opening) {
            Ok((text, end)) => {
                self.at = end;
                return Ok(Some(text));
            }
            Err(bad) => bad,
        };
        let (span, message, remedy) = match bad {
            BadText::Open => {
                let line = self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
                (opening..opening + line, "the closing quote is missing", "write it where the text ends, on this line")
            }
            BadText::Escape(span) => (span, "there is no such escape", "write `\\\\` for a backslash"),
            BadText::Surrogate(span) => {
                (span, "this is half of a character", "write both halves, or the character itself")
            }
            BadText::Control(span) => (span, "a control character in a text", "write it as an escape, such as `\\t`"),
        };
        self.error(span, message, remedy)?;
        self.at = end.ok_or(Stop)?;
        Ok(None)
    }

    /// Letters, digits and what else stands in names and numbers.
    pub(super) fn take_word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|character| !is_of_word(character)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        self.at += word.len();
        word
    }

    pub(super) fn word(&mut self) -> Read<Json> {
        let start = self.at;
        let word = self.take_word();
        match word {
            "true" | "false" => return Ok(Json::Bool(word == "true")),
            "null" => return Ok(Json::Null),
            number if text::is_number(number) => return Ok(Json::Number(number.to_owned())),
            _ => {}
        }
        let lower = word.to_ascii_lowercase();
        let (message, remedy) = if self.eat('"') {
            (format!("the opening quote before `{}` is missing", cut(word)), "write it".to_owned())
        } else if ["true", "false", "null"].contains(&lower.as_str()) {
            (format!("`{word}` is no word of JSON"), format!("write `{lower}`"))
        } else if word.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
            (
                format!("`{}` is no number", cut(word)),
                "write digits without leading zeros, or a text in quotes".to_owned(),
            )
        } else {
            (format!("`{}` stands without quotes", cut(word)), "write it in quotes, if a text is meant".to_owned())
        };
        self.error(start..self.at, message, remedy)?;
        Ok(Json::Unreadable)
    }

    /// `<…>`: what a template leaves to be filled in.
    pub(super) fn placeholder(&mut self) -> Read<Json> {
        let start = self.at;
        let line = self.rest().split(['\n', '\r']).next().unwrap_or_default();
        let length = line.find('>').map_or(1, |end| end + 1);
        self.at += length;
        let name = line.get(..length).unwrap_or_default();
        let message = format!("`{}` is a placeholder that nobody filled in", plain(cut(name)));
        self.error(start..self.at, message, "write the value in its place, a text in quotes")?;
        if length > 1 { Ok(Json::Unreadable) } else { Err(Stop) }
    }

    pub(super) fn single_quoted(&mut self) -> Read<Json> {
        let start = self.at;
        let line = self.rest().split(['\n', '\r']).next().unwrap_or_default();
        let end = line.get(1..).and_then(|rest| rest.find('\'')).map(|end| end + 2);
        self.at += end.unwrap_or(1);
        self.error(start..self.at, "texts of JSON stand in double quotes", "write `\"` in the place of `'`")?;
        if end.is_some() { Ok(Json::Unreadable) } else { Err(Stop) }
    }
}

/// The beginning of a text that is repeated in a message.
fn cut(text: &str) -> &str {
    let end = (0..=MOST_QUOTED.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
