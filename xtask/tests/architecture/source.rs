//! A source file without its comments and the contents of its literals, so that words are found in code only.

use std::path::Path;

/// One file: the path from the root, the first line as it stands, and the code.
#[derive(Clone)]
pub(crate) struct Source {
    path: String,
    documented: bool,
    code: String,
}

/// Every Rust file below a directory.
pub(crate) fn below(root: &Path, directory: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(root, &path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push(Source::new(path, &text));
        }
    }
    found
}

impl Source {
    fn new(path: String, text: &str) -> Self {
        Self { path, documented: text.starts_with("//!"), code: code(text) }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn has_module_doc(&self) -> bool {
        self.documented
    }

    pub(crate) fn is_below(&self, directories: &[&str]) -> bool {
        directories.iter().any(|directory| self.path.starts_with(directory))
    }

    /// A file that is compiled for tests only, by its place or by its name.
    pub(crate) fn is_test(&self) -> bool {
        let file = self.path.rsplit('/').next().unwrap_or_default();
        self.path.contains("/tests/") || file == "tests.rs"
    }

    /// What is shipped: everything before the tests, which stand last in a file.
    pub(crate) fn shipped(&self) -> Self {
        let mut gates = self.code.match_indices("#[cfg(test)]").map(|(at, _)| at);
        let end = gates.find(|at| opens_module(&self.code[*at..])).unwrap_or(self.code.len());
        Self { code: self.code[..end].to_owned(), ..self.clone() }
    }

    /// `path:line: code` of each line that contains the text.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        self.lines_where(|line| line.contains(text))
    }

    /// `path:line: code` of each line that contains the word, not as a part of a longer one.
    pub(crate) fn lines_with_word(&self, word: &str) -> Vec<String> {
        self.lines_where(|line| {
            line.split(|character: char| !character.is_alphanumeric() && character != '_').any(|found| found == word)
        })
    }

    fn lines_where(&self, matches: impl Fn(&str) -> bool) -> Vec<String> {
        let numbered = self.code.lines().enumerate().filter(|(_, line)| matches(line));
        numbered.map(|(index, line)| format!("{}:{}: {}", self.path, index + 1, line.trim())).collect()
    }
}

/// Whether the attributes at the start of the code are those of a module.
fn opens_module(code: &str) -> bool {
    let mut rest = code;
    while rest.starts_with("#[") {
        let mut depth = 0_usize;
        let end = rest.find(|character| {
            match character {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            character == ']' && depth == 0
        });
        rest = end.map_or("", |end| rest[end + 1..].trim_start());
    }
    // Tests may be of use to others: `pub(super) mod`.
    let rest = match rest.strip_prefix("pub(") {
        Some(visible) => visible.split_once(')').map_or("", |(_to_whom, rest)| rest.trim_start()),
        None => rest,
    };
    rest.starts_with("mod ")
}

/// The code alone: comments and the contents of string and character literals become nothing, line ends stay.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = literal_or_comment(rest, code.chars().next_back());
        if skipped == 0 {
            code.push(character);
            rest = &rest[character.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().filter(|character| *character == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the comment or literal at the start of the text; 0 when there is none.
fn literal_or_comment(text: &str, before: Option<char>) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if text.starts_with('"') {
        return quoted(text, '"');
    }
    let in_word = before.is_some_and(|before| before.is_alphanumeric() || before == '_');
    if text.starts_with('r') && !in_word {
        return raw_string(text);
    }
    if text.starts_with('\'') {
        return character(text);
    }
    0
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match &text[at..] {
            "" => return at,
            inner if inner.starts_with("/*") => (depth, at) = (depth + 1, at + 2),
            inner if inner.starts_with("*/") && depth == 1 => return at + 2,
            inner if inner.starts_with("*/") => (depth, at) = (depth - 1, at + 2),
            inner => at += inner.chars().next().map_or(0, char::len_utf8),
        }
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|character| *character == '#').count();
    let Some(body) = text[1 + hashes..].strip_prefix('"') else {
        return 0;
    };
    let end = format!("\"{}", "#".repeat(hashes));
    body.find(&end).map_or(text.len(), |at| 2 + hashes + at + end.len())
}

/// A character literal; a lifetime is none.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), _) => quoted(text, '\''),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r##"//! unsafe
let a = "unsafe \" unsafe"; // unsafe
/* unsafe /* unsafe */ unsafe */ let b = '"'; let c: &'static str = r#"unsafe " unsafe"#;
unsafe { call('\'') }
"##;
    let source = Source::new("x.rs".to_owned(), text);
    assert_eq!(source.lines_with_word("unsafe"), ["x.rs:4: unsafe { call() }"]);
    assert!(source.code.contains("&'static str"));
    assert!(source.has_module_doc());
}

#[test]
fn tests_at_the_end_of_a_file_are_not_shipped() {
    let text = "#[cfg(test)]\nuse b;\nfn a() {}\n#[cfg(test)]\n#[allow(x, reason = \"[\")]\nmod tests {\n    fn b() { a().unwrap() }\n}\n";
    let source = Source::new("x.rs".to_owned(), text);
    assert_eq!(source.lines_with(".unwrap()").len(), 1);
    assert!(source.shipped().lines_with(".unwrap()").is_empty());
    assert_eq!(source.shipped().lines_with("fn a()").len(), 1);
    let text = text.replace("mod tests", "pub(super) mod tests");
    assert!(Source::new("x.rs".to_owned(), &text).shipped().lines_with(".unwrap()").is_empty());
}

#[test]
fn a_word_is_not_found_within_another() {
    let source = Source::new("x.rs".to_owned(), "#![forbid(unsafe_code)]\nuse aya_ebpf::x;\n");
    assert!(source.lines_with_word("unsafe").is_empty());
    assert!(source.lines_with_word("aya").is_empty());
}
