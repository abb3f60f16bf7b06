//! Text for people in lines of at most 80 columns, whatever it is written to.

/// Columns of a line that is written for people.
const COLUMNS: usize = 80;

/// The words in lines that fit when the first begins after `first` columns and the others after `next` ones. A word
/// that is wider than a line stays whole: paths and names can be copied.
pub(crate) fn wrap(text: &str, first: usize, next: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut room) = (String::new(), COLUMNS.saturating_sub(first));
    for word in text.split_whitespace() {
        let taken = line.chars().count();
        if taken > 0 && taken + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line));
            room = COLUMNS.saturating_sub(next);
        } else if taken > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Whether a character is shown as itself: no control character, and none that changes lines or their direction.
pub(crate) fn is_plain(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !reorders
}

/// The text with every other character spelled out: what a file says never acts on a terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_words_stay_whole() {
        let ten = "123456789 ".repeat(20);
        let lines = wrap(&ten, 10, 40);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [69, 39, 39, 39, 9]);
        let long = "x".repeat(200);
        assert_eq!(wrap(&format!("a {long} b"), 0, 0), ["a", &long, "b"]);
        assert_eq!(plain("a\u{1b}[31mb\nc\u{202e}d ü"), "a\\u{1b}[31mb\\u{a}c\\u{202e}d ü");
        assert_eq!(wrap("", 0, 0), [""]);
        assert_eq!(wrap("ünï cödé", 73, 0), ["ünï", "cödé"]);
    }
}
