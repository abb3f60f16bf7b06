//! Texts and numbers of JSON (RFC 8259 sections 6 and 7).

use std::ops::Range;

/// Why what stands between quotes is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadText {
    /// The line or the file ends before the closing quote.
    Open,
    /// A backslash with something behind it that is no escape.
    Escape(Range<usize>),
    /// Half of a surrogate pair.
    Surrogate(Range<usize>),
    /// A control character that is not escaped.
    Control(Range<usize>),
}

/// The text whose opening quote stands at an offset, and where it ends, behind the closing quote. On an error, where
/// reading can go on: behind the closing quote, if there is one.
pub(super) fn read(json: &str, opening: usize) -> Result<(String, usize), (BadText, Option<usize>)> {
    let mut text = String::new();
    let mut wrong = None;
    let mut at = opening + 1;
    loop {
        let rest = json.get(at..).unwrap_or_default();
        let Some(character) = rest.chars().next().filter(|character| !matches!(character, '\n' | '\r')) else {
            return Err((BadText::Open, None));
        };
        let end = at + character.len_utf8();
        at = match character {
            '"' => return wrong.map_or(Ok((text, end)), |wrong| Err((wrong, Some(end)))),
            '\\' => match escape(rest) {
                Ok((character, bytes)) => {
                    text.push(character);
                    at + bytes
                }
                Err((bad, bytes)) => {
                    wrong = wrong.or(Some(bad(at..at + bytes)));
                    at + bytes
                }
            },
            '\0'..='\u{1f}' => {
                wrong = wrong.or(Some(BadText::Control(at..end)));
                end
            }
            other => {
                text.push(other);
                end
            }
        };
    }
}

type Bad = (fn(Range<usize>) -> BadText, usize);

/// The character of an escape at the beginning of a text, and how many bytes it takes.
fn escape(text: &str) -> Result<(char, usize), Bad> {
    let Some(letter) = text.chars().nth(1) else { return Err((BadText::Escape, 1)) };
    let character = match letter {
        '"' | '\\' | '/' => letter,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(text),
        // A quote or the end of the line must be seen by whoever goes on reading.
        other if other.is_control() => return Err((BadText::Escape, 1)),
        other => return Err((BadText::Escape, 1 + other.len_utf8())),
    };
    Ok((character, 2))
}

/// `\uXXXX`, or two of them that are one character (RFC 8259 section 7).
fn unicode(text: &str) -> Result<(char, usize), Bad> {
    let unit = |from: usize| {
        let digits = text.get(from..from + 6)?.strip_prefix("\\u")?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    let first = unit(0).ok_or((BadText::Escape as fn(_) -> _, 2))?;
    let pair = [Some(first), unit(6)];
    let mut characters = char::decode_utf16(pair.into_iter().flatten());
    match characters.next() {
        Some(Ok(character)) => Ok((character, if character.len_utf16() == 2 { 12 } else { 6 })),
        _ => Err((BadText::Surrogate, 6)),
    }
}

/// Whether a word is a number of JSON: no plus, no leading zeros, digits on both sides of the point.
pub(super) fn is_number(word: &str) -> bool {
    let word = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (word, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = digits(whole) && (whole == "0" || !whole.starts_with('0'));
    is_plain && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}
