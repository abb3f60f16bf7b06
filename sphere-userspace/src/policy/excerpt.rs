//! The lines that a diagnostic is about, as they are shown; or only where they are.
//!
//! The renderer walks every line that it is given, for every diagnostic: it gets those that help a reader and no more.

use std::{ops::Range, sync::Arc};

use annotate_snippets::{Annotation, AnnotationKind, Group, Origin, Snippet};

use super::{
    diagnostic::{Place, Source},
    wrap::plain,
};

/// Bytes of lines that are shown: in longer ones no reader finds the place.
const MOST_BYTES: usize = 4096;
/// Bytes between two places that are shown in one excerpt.
const MOST_BETWEEN: usize = 4 * MOST_BYTES;

/// Adds a place, and with it another one that is close.
pub(super) fn add_to<'a>(group: Group<'a>, place: &'a Place, beside: Option<(&'a Place, &'a str)>) -> Group<'a> {
    let lines = lines(place, beside.map(|(other, _)| other));
    if !is_shown(place) {
        return group.element(origin(place));
    }
    let mut shown = snippet(&place.source, &lines).annotation(AnnotationKind::Primary.span(within(&lines, place)));
    if let Some((other, how)) = beside {
        shown = shown.annotation(AnnotationKind::Context.span(within(&lines, other)).label(how));
    }
    group.element(shown)
}

/// Adds another place that is not close, and how it has to do with the first.
pub(super) fn add_related_to<'a>(group: Group<'a>, other: &'a Place, how: &'a str) -> Group<'a> {
    if !is_shown(other) {
        return group.element(origin(other));
    }
    let lines = lines(other, None);
    let annotation = AnnotationKind::Context.span(within(&lines, other)).label(how);
    group.element(snippet(&other.source, &lines).annotation(annotation))
}

/// Whether two places fit into one excerpt.
pub(super) fn are_close(place: &Place, other: &Place) -> bool {
    Arc::ptr_eq(&place.source, &other.source)
        && is_shown(place)
        && is_shown(other)
        && lines(place, Some(other)).len() <= MOST_BETWEEN
}

/// Whether the lines of a place may be shown, and are of a length that helps.
fn is_shown(place: &Place) -> bool {
    place.source.is_shown() && lines(place, None).len() <= MOST_BYTES
}

fn origin(place: &Place) -> Origin<'static> {
    let (line, column) = place.source.position(place.span.start);
    Origin::path(plain(place.source.path())).line(line).char_column(column)
}

/// The whole lines from one place to the other.
fn lines(place: &Place, beside: Option<&Place>) -> Range<usize> {
    let (main, other) = (visible(place), beside.map(visible));
    let start = other.as_ref().map_or(main.start, |other| other.start.min(main.start));
    let end = other.map_or(main.end, |other| other.end.max(main.end));
    place.source.lines(&(start..end))
}

fn snippet<'a>(source: &'a Source, lines: &Range<usize>) -> Snippet<'a, Annotation<'a>> {
    let text = source.text().get(lines.clone()).unwrap_or_default();
    Snippet::source(text).line_start(source.line(lines.start)).path(plain(source.path()))
}

/// The visible part of a place, from the beginning of the lines.
fn within(lines: &Range<usize>, place: &Place) -> Range<usize> {
    let span = visible(place);
    span.start - lines.start..span.end - lines.start
}

/// The span, cut to the text and to its first line: a table that spans half a file is shown by its head.
fn visible(place: &Place) -> Range<usize> {
    let source = &place.source;
    let start = source.clamp(place.span.start);
    let end = source.clamp(place.span.end).max(start);
    let text = source.text().get(start..end).unwrap_or_default();
    start..start + text.find(['\n', '\r']).unwrap_or(text.len())
}
