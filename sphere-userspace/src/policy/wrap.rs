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
        assert_eq!(wrap("", 0, 0), [""]);
        assert_eq!(wrap("ünï cödé", 73, 0), ["ünï", "cödé"]);
    }
}
