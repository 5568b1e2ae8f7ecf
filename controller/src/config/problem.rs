//! What is wrong in a file, shown in its text and with the remedy.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Renderer, Snippet};

/// A named text; shared by the problems that point into it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    name: String,
    text: String,
}

impl Text {
    pub(super) fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    text: Arc<Text>,
    span: Range<usize>,
    message: String,
    label: String,
    also: Option<(Range<usize>, &'static str)>,
    remedy: String,
}

impl Problem {
    /// What is wrong, in one sentence, without its place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it; never empty.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.text.name
    }

    /// The line in the file, from 1.
    pub fn line(&self) -> usize {
        self.before().matches('\n').count() + 1
    }

    /// The column in that line, in characters, from 1.
    pub fn column(&self) -> usize {
        self.before().rsplit('\n').next().unwrap_or_default().chars().count() + 1
    }

    /// The problem with the offending text and the remedy, without a newline at its end; with ANSI colours if `colour`.
    pub fn render(&self, colour: bool) -> String {
        let mut snippet = Snippet::source(self.text.text())
            .path(&*self.text.name)
            .annotation(mark(AnnotationKind::Primary, &self.span, &self.label));
        if let Some((span, label)) = &self.also {
            snippet = snippet.annotation(mark(AnnotationKind::Context, span, label));
        }
        let help = Level::HELP.message(wrap(&self.remedy)).into();
        let group =
            Level::ERROR.primary_title(&*self.message).elements([Element::from(snippet), help]);
        // A fixed width: a golden file and a page of documentation look alike everywhere.
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.term_width(120).render(&[group])
    }

    fn before(&self) -> &str {
        self.text.text().get(..self.span.start).unwrap_or_default()
    }
}

fn mark<'a>(kind: AnnotationKind, span: &Range<usize>, label: &'a str) -> Annotation<'a> {
    let label = if label.is_empty() { None } else { Some(label) };
    kind.span(span.clone()).label(label)
}

/// Everything that is wrong with a configuration and the files that it names. The program does not start, or, when a
/// file is read again, keeps what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    matrix: Option<action_matrix::Problems>,
}

impl Problems {
    /// All that is wrong outside of the matrix.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// What is wrong with the matrix.
    pub fn matrix(&self) -> Option<&action_matrix::Problems> {
        self.matrix.as_ref()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.matrix.is_none()
    }

    /// All of it, with lines and remedies, and a last line that counts; with ANSI colours if `colour`.
    pub fn render(&self, colour: bool) -> String {
        // One mistake can have many consequences; after these a reader stops anyway.
        const SHOWN: usize = 25;
        let mut out = String::new();
        for problem in self.list.iter().take(SHOWN) {
            out += &problem.render(colour);
            out += "\n\n";
        }
        if self.list.len() > SHOWN {
            out += &format!("and {} more\n", self.list.len() - SHOWN);
        }
        if let Some(matrix) = &self.matrix {
            out += &matrix.render(colour);
        }
        if !self.list.is_empty() {
            let plural = if self.list.len() == 1 { "" } else { "s" };
            out += &format!("not usable: {} error{plural}\n", self.list.len());
        }
        out
    }

    /// In the order of each text, and the texts in the order in which they were read.
    pub(super) fn sort(&mut self) {
        let mut files: Vec<String> = Vec::new();
        for problem in &self.list {
            if !files.contains(&problem.text.name) {
                files.push(problem.text.name.clone());
            }
        }
        let place = |problem: &Problem| files.iter().position(|file| *file == problem.text.name);
        self.list.sort_by_key(|problem| (place(problem), problem.span.start));
    }

    pub(super) fn append(&mut self, other: Problems) {
        self.list.extend(other.list);
    }

    pub(super) fn refuse_matrix(&mut self, problems: action_matrix::Problems) {
        self.matrix = Some(problems);
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// One file while it is read: where its problems go.
pub(super) struct Page<'p> {
    text: Arc<Text>,
    problems: &'p mut Problems,
}

impl<'p> Page<'p> {
    pub(super) fn new(text: &Arc<Text>, problems: &'p mut Problems) -> Self {
        Self { text: Arc::clone(text), problems }
    }

    /// Adds a problem at `span`; `label` stands beside it and may be empty.
    pub(super) fn error(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (message, label, remedy) = (message.into(), label.into(), remedy.into());
        let (span, text) = (within(self.text.text(), span), Arc::clone(&self.text));
        self.problems.list.push(Problem { text, span, message, label, also: None, remedy });
    }

    /// As [`Self::error`], with the place of the first of two that exclude each other.
    pub(super) fn twice(
        &mut self,
        span: &Range<usize>,
        first: &Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.error(span, message, "again", remedy);
        let first = within(self.text.text(), first);
        if let Some(problem) = self.problems.list.last_mut() {
            problem.also = Some((first, "the first one"));
        }
    }

    pub(super) fn problems(&mut self) -> &mut Problems {
        self.problems
    }
}

/// The span on the borders of characters and within its first line: a whole table would be a page long.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end.min(text.len())).max(start);
    let line = text.get(start..end).and_then(|part| part.find('\n')).map(|length| start + length);
    start..line.unwrap_or(end)
}

/// Breaks lines that are too long at a blank.
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
