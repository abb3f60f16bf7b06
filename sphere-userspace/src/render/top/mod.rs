//! `sphere top` for people: a screen of any size, or a page of 80 columns.
//!
//! Draws into a buffer and knows no terminal.

mod figures;
mod panel;
mod panels;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

pub use panel::Colours;
use panel::{Panel, Tone, line};

use crate::top::{Controls, Frame, Order, View};

/// Columns of a page.
const PAGE: u16 = 80;
/// Lines of a table on a page, its header among them.
const PAGE_LINES: usize = 11;
/// Stands below what keeps newer figures away.
const OLD: &str = "nothing newer could be read: all figures are of before";
/// Notices on the screen.
const NOTICES: usize = 3;
/// Lines that a screen must have for the names of the views, and for the keys.
const WITH_VIEWS: u16 = 6;
const WITH_KEYS: u16 = 10;

const HELP: &[&str] = &[
    "KEYS",
    "  1 to 6, Tab   another view        s       another order of the lines",
    "  p             stand still         q, Esc  end",
    "  ?             this help, and back",
    "",
    "WHAT THE COLUMNS SAY",
    "  from, to      packets from devices and to devices",
    "  /s, B/s       packets and bytes a second, since the last reading",
    "  audit         packets that would have been denied if their group enforced",
    "  denied, last  as far as the kernel holds the account: with a daemon, until a",
    "                minute after the last packet; the store has all of them",
    "  flows, recv   connections that are open, and what these bring the device",
    "  grace         every answer has run out: the addresses end when the grace",
    "                period does",
    "  limit         entries that a table has room for",
];

/// Draws the screen; `problem` is why there is nothing newer.
pub fn draw(buffer: &mut Buffer, (frame, problem): (&Frame, Option<&str>), controls: &Controls, colours: Colours) {
    let mut area = buffer.area;
    let title = title(frame, controls.paused);
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    let width = usize::from(area.width);
    line(buffer, area, 0, (&format!("{title:<width$}"), reversed));
    cut_above(&mut area, 1);
    if buffer.area.height >= WITH_VIEWS {
        line(buffer, area, 0, (&views(controls.view), Style::new()));
        cut_above(&mut area, 1);
    }
    if buffer.area.height >= WITH_KEYS {
        let last = usize::from(area.height.saturating_sub(1));
        let keys = format!("q quit · Tab view · s order: {} · p pause · ? help", controls.order().word());
        line(buffer, area, last, (&keys, Style::new().add_modifier(Modifier::DIM)));
        area.height = area.height.saturating_sub(1);
    }
    let notices: Vec<&str> = match problem {
        // What was worth a notice then need not hold any more.
        Some(problem) => vec![problem, OLD],
        None => frame.notices.iter().map(String::as_str).collect(),
    };
    for notice in notices.into_iter().take(NOTICES) {
        let bold = Tone::Alarms.style(colours).add_modifier(Modifier::BOLD);
        line(buffer, area, 0, (&format!("! {notice}"), bold));
        cut_above(&mut area, 1);
    }
    if controls.help {
        for (at, text) in HELP.iter().enumerate() {
            line(buffer, area, at, (text, Style::new()));
        }
        return;
    }
    let order = controls.order();
    match controls.view {
        View::Overview => stack(buffer, area, &overview(frame, order), colours),
        View::Devices => panels::devices(frame, order).draw(buffer, area, colours),
        View::Denials => panels::denials(frame, order).draw(buffer, area, colours),
        View::Names => panels::names(frame, order).draw(buffer, area, colours),
        View::Tables => panels::tables(frame, order).draw(buffer, area, colours),
        View::Losses => panels::losses(frame, (order, false)).draw(buffer, area, colours),
    }
}

/// Writes a page with all of it, in 80 columns and without anything for a terminal.
///
/// # Errors
///
/// When the output fails.
pub fn write_page(output: &mut impl Write, frame: &Frame) -> io::Result<()> {
    writeln!(output, "{}", panel::fit(&title(frame, false), usize::from(PAGE)))?;
    for notice in &frame.notices {
        writeln!(output, "{}", crate::policy::wrap(&format!("! {notice}"), 0, 2).join("\n"))?;
    }
    for panel in overview(frame, Order::Rate) {
        let height = u16::try_from(panel.lines().min(PAGE_LINES)).unwrap_or(u16::MAX);
        let area = Rect::new(0, 0, PAGE, height);
        let mut buffer = Buffer::empty(area);
        panel.draw(&mut buffer, area, Colours::None);
        writeln!(output)?;
        for text in lines(&buffer) {
            writeln!(output, "{text}")?;
        }
    }
    Ok(())
}

/// The lines of a buffer, as text.
fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    let rows = buffer.content.chunks(width);
    rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()).collect()
}

/// Where the directory of the pins may be cut, nothing that matters more is behind it.
fn title(frame: &Frame, is_paused: bool) -> String {
    let daemon = if frame.running { "running" } else { "stopped" };
    let over = match frame.elapsed {
        Duration::ZERO => "first reading".to_owned(),
        elapsed => format!("over {:.1} s", elapsed.as_secs_f64()),
    };
    let paused = if is_paused { " · PAUSED" } else { "" };
    format!("sphere top · daemon {daemon} · {over}{paused} · pins {}", frame.pin_root)
}

/// The names of the views; that of the one that is shown in brackets.
fn views(shown: View) -> String {
    let named = View::ALL.iter().enumerate().map(|(at, view)| {
        let (open, close) = if *view == shown { ("[", "]") } else { (" ", " ") };
        format!("{open}{} {}{close}", at + 1, view.word())
    });
    named.collect::<Vec<_>>().join(" ")
}

fn overview(frame: &Frame, order: Order) -> [Panel; 6] {
    [
        panels::traffic(frame),
        panels::devices(frame, order),
        panels::denials(frame, order),
        panels::names(frame, Order::Worst),
        panels::losses(frame, (order, true)),
        panels::tables(frame, Order::Fill),
    ]
}

/// Draws tables one below the other.
fn stack(buffer: &mut Buffer, mut area: Rect, panels: &[Panel], colours: Colours) {
    let wanted: Vec<usize> = panels.iter().map(Panel::lines).collect();
    let given = share(usize::from(area.height), &wanted);
    let left = usize::from(area.height).saturating_sub(given.iter().sum());
    let gap = u16::from(left >= panels.len());
    for (panel, lines) in panels.iter().zip(given).filter(|(_, lines)| *lines > 0) {
        let lines = u16::try_from(lines).unwrap_or(u16::MAX);
        cut_above(&mut area, gap);
        panel.draw(buffer, Rect { height: lines.min(area.height), ..area }, colours);
        cut_above(&mut area, lines);
    }
}

/// Lines for each of several that want some: first a header and a row for each, then by turns.
fn share(mut room: usize, wanted: &[usize]) -> Vec<usize> {
    let mut given = vec![0; wanted.len()];
    for lines in &mut given {
        if room >= 2 {
            *lines = 2;
            room -= 2;
        }
    }
    while room > 0 {
        let before = room;
        for (lines, wanted) in given.iter_mut().zip(wanted) {
            if room > 0 && *lines > 0 && *lines < *wanted {
                *lines += 1;
                room -= 1;
            }
        }
        if room == before {
            break;
        }
    }
    given
}

fn cut_above(area: &mut Rect, lines: u16) {
    let lines = lines.min(area.height);
    (area.y, area.height) = (area.y + lines, area.height - lines);
}
