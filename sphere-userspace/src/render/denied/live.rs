//! What is denied while somebody watches: a line for each that grew, with what came to it.

use std::io::{self, Write};

use super::{Format, csv, field_cell, legend, shown_fields, write_json};
use crate::policy::plain;
use crate::render::table::WIDTH;
use crate::store::{Field, Fields, Line};

/// What begins a line that goes on with the one before: below the first column after time and packets.
const NEXT_LINE: &str = "\n                   ";

/// Writes lines as they come, each at once.
#[derive(Debug)]
pub struct Live {
    format: Format,
    by: Fields,
    has_begun: bool,
    /// What was explained.
    explained: Vec<String>,
}

impl Live {
    /// For lines that are made of some fields.
    #[must_use]
    pub const fn new(format: Format, by: Fields) -> Self {
        Self { format, by, has_begun: false, explained: Vec::new() }
    }

    /// Writes what grew.
    ///
    /// # Errors
    ///
    /// When the output fails; a reader that went away is an error here, for there is nobody to watch any more.
    pub fn write(&mut self, output: &mut impl Write, lines: &[Line]) -> io::Result<()> {
        if self.format == Format::Csv && !self.has_begun {
            csv::write_header(output, self.by)?;
        }
        self.has_begun = true;
        for line in lines {
            match self.format {
                Format::Json => write_json(output, line, self.by)?,
                Format::Csv => csv::write_line(output, line, self.by)?,
                Format::Table => self.write_plain(output, line)?,
            }
        }
        output.flush()
    }

    fn write_plain(&mut self, output: &mut impl Write, line: &Line) -> io::Result<()> {
        for words in legend(std::slice::from_ref(line)) {
            if !self.explained.contains(&words) {
                writeln!(output, "# {words}")?;
                self.explained.push(words);
            }
        }
        let last = humantime::format_rfc3339_seconds(line.sum.last()).to_string();
        let mut text = format!("{}  {:>7}", last.get(11..19).unwrap_or(&last), format!("+{}", line.sum.packets));
        // What may be long comes last.
        let (long, short): (Vec<_>, Vec<_>) =
            shown_fields(self.by).partition(|field| matches!(field, Field::To | Field::Name));
        for field in short {
            let width = match field {
                Field::Device => 15,
                Field::Port => 9,
                Field::Reason => 11,
                _ => 0,
            };
            text.push_str(&format!("  {:<width$}", plain(&field_cell(field, line, self.by))));
        }
        for field in long {
            text.push(' ');
            for word in plain(&field_cell(field, line, self.by)).split(' ') {
                append(&mut text, word);
            }
        }
        writeln!(output, "{}", text.trim_end())
    }
}

/// Adds a word, on a line of its own when the last one has no room.
fn append(text: &mut String, word: &str) {
    let used = text.rsplit('\n').next().map_or(0, |line| line.chars().count());
    text.push_str(if used + 1 + word.chars().count() > usize::from(WIDTH) { NEXT_LINE } else { " " });
    text.push_str(word);
}
