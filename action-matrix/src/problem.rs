//! What is wrong with a matrix, shown in its text and with a remedy.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Renderer, Snippet};

use crate::rule::Rule;

/// Whether a matrix with this problem may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It is not loaded.
    Error,
    /// It is loaded, and its author should look again.
    Warning,
}

/// A named text; shared by the problems that point into it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    name: String,
    text: String,
}

impl Text {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    severity: Severity,
    rule: Rule,
    message: String,
    span: Range<usize>,
    label: String,
    also: Vec<(Range<usize>, String)>,
    remedies: Vec<String>,
    text: Arc<Text>,
}

impl Problem {
    /// Whether it forbids loading.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The rule that is broken.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// What is wrong, in one sentence, without its place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it; never empty. One of them is enough.
    #[must_use]
    pub fn remedies(&self) -> &[String] {
        &self.remedies
    }

    /// The line in the text, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.before().matches('\n').count() + 1
    }

    /// The column in that line, in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.before().rsplit('\n').next().unwrap_or_default().chars().count() + 1
    }

    /// The problem with the offending lines and the remedy, without a newline at its end; with
    /// ANSI colours if `colour`.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut snippet = Snippet::source(self.text.text())
            .path(self.text.name())
            .annotation(mark(AnnotationKind::Primary, &self.span, &self.label));
        for (span, label) in &self.also {
            snippet = snippet.annotation(mark(AnnotationKind::Context, span, label));
        }
        let remedies = self.remedies.iter().map(|remedy| Level::HELP.message(wrap(remedy)).into());
        let elements = std::iter::once(Element::from(snippet)).chain(remedies);
        let group = level.primary_title(&*self.message).id(self.rule.slug()).elements(elements);
        // A fixed width: a golden file and a page of documentation look alike everywhere.
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.term_width(120).render(&[group])
    }

    /// Another place that belongs to it.
    pub(crate) fn also(&mut self, span: Range<usize>, label: impl Into<String>) -> &mut Self {
        let span = clamp(self.text.text(), span);
        self.also.push((span, label.into()));
        self
    }

    /// A way out; call it once at least.
    pub(crate) fn remedy(&mut self, remedy: impl Into<String>) -> &mut Self {
        self.remedies.push(remedy.into());
        self
    }

    fn before(&self) -> &str {
        self.text.text().get(..self.span.start).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

fn mark<'a>(kind: AnnotationKind, span: &Range<usize>, label: &'a str) -> Annotation<'a> {
    let label = if label.is_empty() { None } else { Some(label) };
    kind.span(span.clone()).label(label)
}

/// Everything that is wrong with one text: the errors in the order of the text, then the warnings.
/// An error for the caller of
/// [`crate::Matrix::parse`]: the matrix was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    text: Arc<Text>,
}

impl Problems {
    pub(crate) fn new(text: &Arc<Text>) -> Self {
        Self { list: Vec::new(), text: Arc::clone(text) }
    }

    /// The errors in the order of the text, then the warnings.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// All of them with their lines and remedies, and a last line that counts them; with ANSI
    /// colours if `colour`.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        // One mistake can have hundreds of consequences; after these a reader stops anyway.
        const SHOWN: usize = 25;
        let mut out = String::new();
        for problem in self.list.iter().take(SHOWN) {
            out += &problem.render(colour);
            out += "\n\n";
        }
        if self.list.len() > SHOWN {
            out += &format!("and {} more\n", self.list.len() - SHOWN);
        }
        let count = |wanted| self.list.iter().filter(|p| p.severity == wanted).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        out += &format!("{}: not loaded: {}", self.text.name(), plural(errors, "error"));
        if warnings > 0 {
            out += &format!(", {}", plural(warnings, "warning"));
        }
        out.push('\n');
        out
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.list
    }

    pub(crate) fn sorted(mut self) -> Self {
        // Warnings last: they are often the consequence of an error.
        self.list.sort_by_key(|problem| (problem.severity, problem.span.start));
        self
    }

    /// Adds an error at `span`, `label` beside it.
    pub(crate) fn error(
        &mut self,
        rule: Rule,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Error, rule, span, message.into(), label.into())
    }

    /// Adds a warning at `span`, `label` beside it.
    pub(crate) fn warning(
        &mut self,
        rule: Rule,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Warning, rule, span, message.into(), label.into())
    }

    fn add(
        &mut self,
        severity: Severity,
        rule: Rule,
        span: Range<usize>,
        message: String,
        label: String,
    ) -> &mut Problem {
        let (also, remedies) = (Vec::new(), Vec::new());
        let text = Arc::clone(&self.text);
        let span = clamp(text.text(), span);
        let problem = Problem { severity, rule, message, span, label, also, remedies, text };
        self.list.push(problem);
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// The span within the text and on the borders of characters, as the renderer demands.
fn clamp(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

/// Breaks lines that are too long at a blank; lines that are short enough stay as they are, so that
/// a row can be copied from a remedy.
fn wrap(text: &str) -> String {
    const WIDTH: usize = 96;
    let mut out: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split(' ') {
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > WIDTH {
                out.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current += word;
        }
        out.push(current);
    }
    out.join("\n")
}

/// `1 error`, `2 errors`.
fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("{count} {word}") } else { format!("{count} {word}s") }
}
