//! The walk through a JSON text.

mod scalar;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use super::{Json, Member, Node};
use crate::policy::{Findings, Located, plain};

/// Lists and objects within each other: files of this kind have five or six.
const MOST_DEPTH: usize = 64;
/// Errors after which nobody reads on.
const MOST_ERRORS: usize = 50;

/// Nothing more can be told of the text: what is wrong with it was reported.
pub(super) struct Stop;

type Read<T> = Result<T, Stop>;

/// Where the walk is.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    errors: usize,
    has_comments: bool,
    findings: &'a mut Findings,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str, findings: &'a mut Findings) -> Self {
        Self { text, at: 0, depth: 0, errors: 0, has_comments: false, findings }
    }

    /// The one value of the text.
    pub(super) fn document(mut self) -> Read<Node> {
        self.blanks()?;
        if self.at == self.text.len() {
            let end = self.at;
            self.error(end..end, "the file holds no JSON value", "write an object, `{ … }`")?;
            return Err(Stop);
        }
        let node = self.value()?;
        self.blanks()?;
        if self.at < self.text.len() {
            let rest = self.at..self.text.len();
            let remedy = "remove it, or the bracket that ends the value too early";
            self.error(rest, "there is text behind the end of the JSON value", remedy)?;
        }
        Ok(node)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Goes over a character if it stands here.
    fn eat(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.at += wanted.len_utf8();
        }
        is_there
    }

    /// Reports an error; after too many of them nothing more is read.
    fn error(&mut self, span: Range<usize>, message: impl Into<String>, remedy: impl Into<String>) -> Read<()> {
        self.findings.error(&span, message, remedy);
        self.count(&span)
    }

    /// Counts an error.
    fn count(&mut self, span: &Range<usize>) -> Read<()> {
        self.errors += 1;
        if self.errors < MOST_ERRORS {
            return Ok(());
        }
        let message = format!("{MOST_ERRORS} errors: nothing behind this place was read");
        self.findings.error(span, message, "is this a JSON file? otherwise correct these errors first");
        Err(Stop)
    }

    /// Goes over blanks and comments.
    fn blanks(&mut self) -> Read<()> {
        loop {
            let blanks = self.rest().find(|character| !matches!(character, ' ' | '\t' | '\n' | '\r'));
            self.at += blanks.unwrap_or(self.rest().len());
            let start = self.at;
            let end = if self.rest().starts_with("//") {
                self.rest().find(['\n', '\r']).unwrap_or(self.rest().len())
            } else if self.rest().starts_with("/*") {
                match self.rest().find("*/") {
                    Some(end) => end + 2,
                    None => {
                        self.error(start..start + 2, "the comment has no end", "write `*/` behind it, or remove it")?;
                        return Err(Stop);
                    }
                }
            } else {
                return Ok(());
            };
            self.at += end;
            if !std::mem::replace(&mut self.has_comments, true) {
                let remedy = "remove the comments, if other programs are to read the file";
                self.findings.warn(&(start..self.at), "JSON has no comments; they are read over here", remedy);
            }
        }
    }

    fn value(&mut self) -> Read<Node> {
        let start = self.at;
        let value = match self.peek() {
            Some('{') => self.within(Self::object)?,
            Some('[') => self.within(Self::array)?,
            Some('"') => self.string()?.map_or(Json::Unreadable, Json::Text),
            Some('<') => self.placeholder()?,
            Some('\'') => self.single_quoted()?,
            Some(',') => {
                self.error(start..start + 1, "a value is missing before the comma", "write it, or remove the comma")?;
                Json::Unreadable
            }
            Some(character) if is_of_word(character) => self.word()?,
            Some(character) => {
                let message = format!("`{}` where a value is expected", shown(character));
                self.error(start..start + character.len_utf8(), message, "write a value, or remove this")?;
                return Err(Stop);
            }
            None => {
                self.error(start..start, "the file ends where a value is expected", "write what is missing")?;
                return Err(Stop);
            }
        };
        Ok(Node { value, span: start..self.at })
    }

    /// Reads a list or an object, if it is not too deep within others.
    fn within(&mut self, read: fn(&mut Self) -> Read<Json>) -> Read<Json> {
        if self.depth == MOST_DEPTH {
            let message = format!("more than {MOST_DEPTH} lists and objects within each other");
            self.error(self.at..self.at + 1, message, "is it the right file? none of this kind is so deep")?;
            return Err(Stop);
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Read<Json> {
        let opening = self.at;
        self.at += 1;
        let mut elements = Vec::new();
        self.blanks()?;
        if self.eat(']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            if !self.goes_on(opening, ']')? {
                return Ok(Json::Array(elements));
            }
        }
    }

    fn object(&mut self) -> Read<Json> {
        let opening = self.at;
        self.at += 1;
        let mut members = Vec::new();
        let mut seen: BTreeMap<String, Range<usize>> = BTreeMap::new();
        self.blanks()?;
        if self.eat('}') {
            return Ok(Json::Object(members));
        }
        loop {
            let key = self.key()?;
            self.blanks()?;
            if !self.eat(':') {
                self.error(key.span.clone(), "there is no colon behind the key", "write `\"key\": value`")?;
                return Err(Stop);
            }
            self.blanks()?;
            let value = self.value()?;
            let Some(key) = key.value.map(|value| Located { value, span: key.span }) else {
                if !self.goes_on(opening, '}')? {
                    return Ok(Json::Object(members));
                }
                continue;
            };
            match seen.entry(key.value.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(key.span.clone());
                    members.push(Member { key, value });
                }
                Entry::Occupied(first) => {
                    let message = format!("the key `{}` is there twice", plain(&key.value));
                    let remedy = "remove one: programs differ in which of the two they take";
                    self.findings.error_beside(&key.span, (message, remedy), (first.get(), "the first one"));
                    self.count(&key.span)?;
                }
            }
            if !self.goes_on(opening, '}')? {
                return Ok(Json::Object(members));
            }
        }
    }

    /// The key of a member; no value when it cannot be read, and that was reported.
    fn key(&mut self) -> Read<Located<Option<String>>> {
        let start = self.at;
        let value = match self.peek() {
            Some('"') => self.string()?,
            Some('\'') => {
                self.single_quoted()?;
                None
            }
            Some(character) if is_of_word(character) => {
                let word = self.take_word();
                let missing = if self.eat('"') { "has no opening quote" } else { "stands without quotes" };
                self.error(start..self.at, format!("the key `{word}` {missing}"), format!("write `\"{word}\"`"))?;
                Some(word.to_owned())
            }
            found => {
                let what = found.map_or("the file ends".to_owned(), |character| format!("`{}`", shown(character)));
                let end = start + found.map_or(0, char::len_utf8);
                self.error(start..end, format!("{what} where a key is expected"), "write a key in quotes, or `}`")?;
                return Err(Stop);
            }
        };
        Ok(Located { value, span: start..self.at })
    }

    /// What stands behind an element: whether another one follows.
    fn goes_on(&mut self, opening: usize, closing: char) -> Read<bool> {
        self.blanks()?;
        let here = self.at;
        if self.eat(closing) {
            return Ok(false);
        }
        let what = if closing == ']' { "the list" } else { "the object" };
        match self.peek() {
            Some(',') => {
                self.at += 1;
                self.blanks()?;
                if !self.eat(closing) {
                    return Ok(true);
                }
                self.error(here..here + 1, format!("a comma before the end of {what}"), "remove the comma")?;
                Ok(false)
            }
            Some(character) if matches!(character, '"' | '{' | '[' | '<' | '\'') || is_of_word(character) => {
                let remedy = "write a comma before it; or is a quote missing?";
                self.error(here..here + 1, "there is no comma between this and what stands before it", remedy)?;
                Ok(true)
            }
            found => {
                let remedy = format!("write `{closing}` where it ends");
                let (message, span) = match found {
                    Some(character) => {
                        let end = here + character.len_utf8();
                        (format!("`{}` where a comma or `{closing}` is expected", shown(character)), here..end)
                    }
                    None => (format!("the file ends within {what}"), here..here),
                };
                self.findings.error_beside(&span, (message, &remedy), (&(opening..opening + 1), "begins here"));
                Err(Stop)
            }
        }
    }
}

const fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '+' | '.')
}

fn shown(character: char) -> String {
    plain(character.encode_utf8(&mut [0; 4]))
}
