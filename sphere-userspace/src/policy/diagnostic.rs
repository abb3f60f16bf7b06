//! What is wrong with a policy, or worth a warning: where, what, and what to do about it.

use std::{fmt, ops::Range, sync::Arc};

use annotate_snippets::{Level, Renderer, renderer::DecorStyle};

use super::{
    excerpt,
    settings::DaemonSettings,
    wrap::{plain, wrap},
};

/// A text that was read, and what it is called.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    path: String,
    text: String,
    /// Byte offsets at which lines begin; never empty.
    line_starts: Vec<usize>,
    /// Whether diagnostics may show lines of it.
    is_shown: bool,
    /// Whether a byte order mark stood before the text.
    has_mark: bool,
}

impl Source {
    /// A text and what it is called. A byte order mark is no part of the text.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self::with(path.into(), text.into(), true))
    }

    /// A text that may be somebody's secret: diagnostics name places in it, and show nothing of it.
    #[must_use]
    pub fn unshown(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self::with(path.into(), text.into(), false))
    }

    /// The same text, once it is known to be none of those.
    pub(super) fn shown(&self) -> Arc<Self> {
        let Self { path, text, line_starts, has_mark, .. } = self;
        let (path, text, line_starts) = (path.clone(), text.clone(), line_starts.clone());
        Arc::new(Self { path, text, line_starts, is_shown: true, has_mark: *has_mark })
    }

    fn with(path: String, text: String, is_shown: bool) -> Self {
        let (text, has_mark) = match text.strip_prefix('\u{feff}') {
            Some(rest) => (rest.to_owned(), true),
            None => (text, false),
        };
        let after_newline = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_newline).collect();
        Self { path, text, line_starts, is_shown, has_mark }
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

    /// Line of a byte offset, from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        let offset = self.clamp(offset);
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let (offset, line) = (self.clamp(offset), self.line(offset));
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        (line, self.text.get(start..offset).unwrap_or_default().chars().count() + 1)
    }

    /// Whether a byte order mark stood before the text.
    pub(crate) const fn has_mark(&self) -> bool {
        self.has_mark
    }

    /// Whether diagnostics may show lines of it.
    pub(super) const fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// The whole lines that a span touches.
    pub(super) fn lines(&self, span: &Range<usize>) -> Range<usize> {
        let begin = self.line_starts.partition_point(|start| *start <= span.start);
        let end = self.line_starts.partition_point(|start| *start <= span.end);
        let start = begin.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        start..self.line_starts.get(end).copied().unwrap_or(self.text.len())
    }

    /// The nearest character boundary that is not behind the offset.
    pub(super) fn clamp(&self, offset: usize) -> usize {
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
        let related = self.related.as_ref().map(|(other, how)| (other, how.as_str()));
        let beside =
            related.filter(|(other, _)| self.place.as_ref().is_some_and(|place| excerpt::are_close(place, other)));
        if let Some(place) = &self.place {
            group = excerpt::add_to(group, place, beside);
        }
        if let (Some((other, how)), None) = (related, beside) {
            group = excerpt::add_related_to(group, other, how);
        }
        if let Some(remedy) = remedy {
            group = group.element(Level::HELP.message(remedy));
        }
        renderer.decor_style(DecorStyle::Ascii).term_width(80).render(&[group])
    }
}

/// Columns before the remedy: the gutter of line numbers, and `= help: `.
fn help_columns(place: Option<&Place>) -> usize {
    let line = place.map_or(1, |place| place.source.line(place.span.start));
    line.to_string().len() + " = help: ".len()
}

impl fmt::Display for Diagnostic {
    /// One line: `policy.toml:3:7: error: what is wrong (what to do)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(place), Some((line, column))) = (&self.place, self.position()) {
            write!(formatter, "{}:{line}:{column}: ", plain(place.source.path()))?;
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
    errors: usize,
    /// What `[daemon]` says, as far as it could be read.
    daemon: DaemonSettings,
}

/// Findings that are kept of one policy: nobody reads on, and a file of nothing but errors has a hundred thousand.
const MOST: usize = 200;

impl PolicyErrors {
    /// The errors, and warnings after them, each in the order of the text; beyond 200 they are only counted.
    #[must_use]
    pub fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
        sort(&mut diagnostics);
        let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
        diagnostics.truncate(MOST);
        Self { diagnostics, errors, daemon: DaemonSettings::default() }
    }

    /// The same, of a policy whose `[daemon]` could be read.
    #[must_use]
    pub(super) fn with_daemon(self, daemon: DaemonSettings) -> Self {
        Self { daemon, ..self }
    }

    /// What `[daemon]` says, as far as it could be read: where the policies are kept of which one may begin instead.
    #[must_use]
    pub fn daemon(&self) -> DaemonSettings {
        self.daemon.clone()
    }

    /// What was found, as much as is kept.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// How many errors there are, warnings apart.
    #[must_use]
    pub const fn error_count(&self) -> usize {
        self.errors
    }

    /// How many errors there are, and how many of them are kept if not all: "250 errors, of which 200 are shown".
    #[must_use]
    pub fn summary(&self) -> String {
        let plural = if self.errors == 1 { "" } else { "s" };
        let more = if self.errors > MOST { format!(", of which {MOST} are shown") } else { String::new() };
        format!("{} error{plural}{more}", self.errors)
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
        write!(formatter, "the policy has {}", self.summary())
    }
}

impl std::error::Error for PolicyErrors {}
