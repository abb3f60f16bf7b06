//! What is wrong with a policy, or worth a warning: where, what, and what to do about it.

use std::{fmt, ops::Range, sync::Arc};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, renderer::DecorStyle};

use super::wrap::{plain, wrap};

/// A text that was read, and what it is called.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    path: String,
    text: String,
    /// Byte offsets at which lines begin; never empty.
    line_starts: Vec<usize>,
}

impl Source {
    /// A text and what it is called.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let after_newline = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_newline).collect();
        Arc::new(Self { path: path.into(), text, line_starts })
    }

    /// What it is called.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.clamp(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        (line, self.text.get(start..offset).unwrap_or_default().chars().count() + 1)
    }

    /// The nearest character boundary that is not behind the offset.
    fn clamp(&self, offset: usize) -> usize {
        (0..=offset.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// The policy can be used, and may not do what is wanted.
    Warning,
}

impl Severity {
    /// Word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The source.
    pub source: Arc<Source>,
    /// The bytes meant.
    pub span: Range<usize>,
}

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Where; [`None`] when it is about no place in a text.
    pub place: Option<Place>,
    /// Another place that has to do with it, and how.
    pub related: Option<(Place, String)>,
}

impl Diagnostic {
    /// Line and column of the place, both from 1.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| place.source.position(place.span.start))
    }

    /// The diagnostic with the lines it is about, several lines of text, without colour.
    #[must_use]
    pub fn render(&self) -> String {
        self.render_with(Renderer::plain())
    }

    /// As [`Self::render`], in colour.
    #[must_use]
    pub fn render_styled(&self) -> String {
        self.render_with(Renderer::styled())
    }

    /// Message and remedy in lines that fit; the renderer indents all but the first.
    fn texts(&self) -> (String, Option<String>) {
        let title = self.severity.word().len() + ": ".len();
        let help = help_columns(self.place.as_ref());
        let remedy = self.remedy.as_ref().map(|remedy| wrap(&plain(remedy), help, help).join("\n"));
        (wrap(&plain(&self.message), title, title).join("\n"), remedy)
    }

    fn render_with(&self, renderer: Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let (title, remedy) = self.texts();
        let mut group = level.primary_title(title).elements(None::<annotate_snippets::Message<'_>>);
        if let Some(place) = &self.place {
            let mut main = snippet(place).annotation(AnnotationKind::Primary.span(visible(place)));
            match &self.related {
                Some((other, how)) if other.source == place.source => {
                    main = main.annotation(AnnotationKind::Context.span(visible(other)).label(how.as_str()));
                    group = group.element(main);
                }
                Some((other, how)) => {
                    let beside = AnnotationKind::Context.span(visible(other)).label(how.as_str());
                    group = group.element(main).element(snippet(other).annotation(beside));
                }
                None => group = group.element(main),
            }
        }
        if let Some(remedy) = remedy {
            group = group.element(Level::HELP.message(remedy));
        }
        renderer.decor_style(DecorStyle::Ascii).term_width(80).render(&[group])
    }
}

/// Columns before the remedy: the gutter of line numbers, and `= help: `.
fn help_columns(place: Option<&Place>) -> usize {
    let line = place.map_or(1, |place| place.source.position(place.span.start).0);
    line.to_string().len() + " = help: ".len()
}

fn snippet<'a>(place: &'a Place) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(place.source.text()).path(place.source.path())
}

/// The span, cut to the text and to its first line: a table that spans half a file is shown by its head.
fn visible(place: &Place) -> Range<usize> {
    let source = &place.source;
    let start = source.clamp(place.span.start);
    let end = source.clamp(place.span.end).max(start);
    let text = source.text().get(start..end).unwrap_or_default();
    start..start + text.find(['\n', '\r']).unwrap_or(text.len())
}

impl fmt::Display for Diagnostic {
    /// One line: `policy.toml:3:7: error: what is wrong (what to do)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(place), Some((line, column))) = (&self.place, self.position()) {
            write!(formatter, "{}:{line}:{column}: ", place.source.path())?;
        }
        write!(formatter, "{}: {}", self.severity.word(), plain(&self.message))?;
        match &self.remedy {
            Some(remedy) => write!(formatter, " ({})", plain(remedy)),
            None => Ok(()),
        }
    }
}

/// Why a policy cannot be used: every error at once, with the warnings there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyErrors {
    diagnostics: Vec<Diagnostic>,
}

impl PolicyErrors {
    /// The errors, and warnings after them, each in the order of the text.
    #[must_use]
    pub fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
        sort(&mut diagnostics);
        Self { diagnostics }
    }

    /// Everything that was found.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How many errors there are, warnings apart.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count()
    }
}

/// Orders diagnostics as a reader meets them: errors first, then by source and place.
pub(super) fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|found| {
        let place = found.place.as_ref().map(|place| (place.source.path().to_owned(), place.span.start));
        (found.severity, place)
    });
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.diagnostics {
            writeln!(formatter, "{}\n", found.render())?;
        }
        let count = self.error_count();
        write!(formatter, "{count} error{} in the policy", if count == 1 { "" } else { "s" })
    }
}

impl std::error::Error for PolicyErrors {}
