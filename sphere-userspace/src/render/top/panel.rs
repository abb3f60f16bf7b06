//! A table in a given area: the first column takes what the others leave, and those that matter least make room.

use std::ffi::OsStr;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::policy::plain;

/// Columns between two cells.
const GAP: usize = 2;

/// What a line says; always in words too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing in particular.
    Calm,
    /// Somebody should look.
    Warns,
    /// Something is wrong.
    Alarms,
}

/// Whether colours are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// They are.
    Some,
    /// They are not: weight and inversion remain.
    None,
}

impl Colours {
    /// What a value of `NO_COLOR` says.
    #[must_use]
    pub fn wanted(no_color: Option<&OsStr>) -> Self {
        if no_color.is_none_or(OsStr::is_empty) { Self::Some } else { Self::None }
    }
}

impl Tone {
    pub(super) fn style(self, colours: Colours) -> Style {
        match (self, colours) {
            (Self::Calm, _) => Style::new(),
            (Self::Warns, Colours::Some) => Style::new().fg(Color::Yellow),
            (Self::Alarms, Colours::Some) => Style::new().fg(Color::Red),
            (Self::Warns | Self::Alarms, Colours::None) => Style::new().add_modifier(Modifier::BOLD),
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    name: &'static str,
    /// Whether it holds numbers.
    is_right: bool,
    /// Least width.
    least: usize,
    /// Of two columns, the one with the higher rank makes room first; those of rank 0 last.
    rank: u8,
}

/// A column of text.
pub(super) const fn left(name: &'static str, least: usize, rank: u8) -> Column {
    Column { name, is_right: false, least, rank }
}

/// A column of numbers.
pub(super) const fn right(name: &'static str, least: usize, rank: u8) -> Column {
    Column { name, is_right: true, least, rank }
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) tone: Tone,
    pub(super) cells: Vec<String>,
}

/// A table. Its first column is named after what it holds.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// What stands there instead of no rows.
    pub(super) none: &'static str,
}

impl Panel {
    /// Lines that it would take.
    pub(super) fn lines(&self) -> usize {
        1 + self.rows.len().max(1)
    }

    /// Draws its header and as many rows as there is room for; how many there are is said where some are left out.
    pub(super) fn draw(&self, buffer: &mut Buffer, area: Rect, colours: Colours) {
        let room = usize::from(area.height).saturating_sub(1);
        let shown = self.rows.iter().take(room).collect::<Vec<_>>();
        let widths = self.widths(&shown, usize::from(area.width));
        let mut header: Vec<String> = self.columns.iter().map(|column| column.name.to_owned()).collect();
        if let Some(first) = header.first_mut()
            && shown.len() < self.rows.len()
        {
            first.push_str(&format!(" {}/{}", shown.len(), self.rows.len()));
        }
        self.draw_row(buffer, (area, 0), (&header, &widths), Style::new().add_modifier(Modifier::BOLD));
        if self.rows.is_empty() {
            line(buffer, area, 1, (&format!("  {}", self.none), Style::new()));
        }
        for (index, row) in shown.into_iter().enumerate() {
            self.draw_row(buffer, (area, index + 1), (&row.cells, &widths), row.tone.style(colours));
        }
    }

    /// Widths of the columns; 0 of those that make room.
    fn widths(&self, shown: &[&Row], room: usize) -> Vec<usize> {
        let widest = |(index, column): (usize, &Column)| {
            let cells = shown.iter().filter_map(|row| row.cells.get(index)).map(|cell| cell.chars().count());
            cells.max().unwrap_or_default().max(column.least).max(column.name.len())
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(widest).collect();
        let least = self.columns.first().map_or(0, |column| column.least);
        loop {
            let taken: usize = widths.iter().skip(1).filter(|width| **width > 0).map(|width| width + GAP).sum();
            let left = room.saturating_sub(taken);
            let last = (1..widths.len()).filter(|at| widths[*at] > 0).max_by_key(|at| (self.columns[*at].rank, *at));
            match last {
                Some(at) if left < least => widths[at] = 0,
                _ => {
                    if let Some(first) = widths.first_mut() {
                        *first = left;
                    }
                    return widths;
                }
            }
        }
    }

    fn draw_row(
        &self,
        buffer: &mut Buffer,
        (area, at): (Rect, usize),
        (cells, widths): (&[String], &[usize]),
        style: Style,
    ) {
        let mut text = String::new();
        for ((cell, width), column) in cells.iter().zip(widths).zip(&self.columns).filter(|((_, width), _)| **width > 0)
        {
            if !text.is_empty() {
                text.push_str(&" ".repeat(GAP));
            }
            let cell = fit(cell, *width);
            if column.is_right {
                text.push_str(&format!("{cell:>width$}"));
            } else {
                text.push_str(&format!("{cell:<width$}"));
            }
        }
        line(buffer, area, at, (text.trim_end(), style));
    }
}

/// A text in so many columns; what is left out is marked, and nothing of it acts on the terminal.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= width {
        return text;
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// Writes one line of an area, as far as there is such a line.
pub(super) fn line(buffer: &mut Buffer, area: Rect, at: usize, (text, style): (&str, Style)) {
    let area = area.intersection(buffer.area);
    let Ok(at) = u16::try_from(at) else { return };
    if at < area.height {
        let width = usize::from(area.width);
        buffer.set_stringn(area.x, area.y + at, fit(text, width), width, style);
    }
}
