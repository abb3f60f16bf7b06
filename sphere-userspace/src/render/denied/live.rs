//! What is denied while somebody watches: a line for each that grew, with what came to it.

use std::io::{self, Write};
use std::sync::Arc;

use super::{Format, csv, field_cell, shown_fields, write_json, write_legend};
use crate::policy::plain;
use crate::store::{Field, Fields, Line};

/// Writes lines as they come, each at once.
#[derive(Debug)]
pub struct Live {
    format: Format,
    by: Fields,
    has_begun: bool,
    /// Reasons that were explained.
    explained: Vec<Arc<str>>,
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
        if let Some(reason) = &line.kind.reason
            && !self.explained.contains(reason)
        {
            self.explained.push(Arc::clone(reason));
            write!(output, "# ")?;
            write_legend(output, std::slice::from_ref(line))?;
        }
        let last = humantime::format_rfc3339_seconds(line.sum.last()).to_string();
        write!(output, "{}  {:>7}", last.get(11..19).unwrap_or(&last), format!("+{}", line.sum.packets))?;
        // What may be long comes last.
        let (long, short): (Vec<_>, Vec<_>) =
            shown_fields(self.by).partition(|field| matches!(field, Field::To | Field::Name));
        for field in short.into_iter().chain(long) {
            let width = match field {
                Field::Device => 15,
                Field::Port => 9,
                Field::Reason => 11,
                _ => 0,
            };
            write!(output, "  {:<width$}", plain(&field_cell(field, line, self.by)))?;
        }
        writeln!(output)
    }
}
