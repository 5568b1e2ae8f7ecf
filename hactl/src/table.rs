//! Tables and coloured words for people: columns with two blanks between them and no lines, so that a page reads well
//! and `grep` and `awk` work on it.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement};

/// How output may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// ANSI colours.
    pub colour: bool,
    /// Columns of the terminal; `None` where there is none, so that nothing is wrapped.
    pub width: Option<u16>,
}

/// What a word means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
}

impl Tone {
    fn colour(self) -> Option<Color> {
        match self {
            Self::Plain => None,
            Self::Good => Some(Color::Green),
            Self::Warn => Some(Color::Yellow),
            Self::Bad => Some(Color::Red),
        }
    }

    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

impl Look {
    /// The text in the colour of its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        match tone.code().filter(|_| self.colour) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }

    /// A heading.
    pub(crate) fn bold(self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The paragraph, wrapped and indented by so many blanks; the first line is not indented. Ends without a newline.
    pub(crate) fn wrap(self, indent: usize, text: &str) -> String {
        let Some(width) = self.width.map(usize::from).filter(|width| *width > indent + 20) else {
            return text.to_owned();
        };
        let mut lines = vec![String::new()];
        for word in text.split(' ') {
            let line = lines.last_mut().map(|line| line.chars().count()).unwrap_or(0);
            if line > 0 && line + 1 + word.chars().count() > width - indent {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        lines.join(&format!("\n{}", " ".repeat(indent)))
    }
}

/// A table that is being filled.
pub(crate) struct Table {
    inner: comfy_table::Table,
    indent: usize,
    flexible: Vec<usize>,
}

impl Table {
    pub(crate) fn new(look: Look, header: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(comfy_table::presets::NOTHING).force_no_tty();
        if look.colour {
            inner.enforce_styling();
        }
        if let Some(width) = look.width {
            inner.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        inner.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        Self { inner, indent: 0, flexible: Vec::new() }
    }

    /// Moves the whole table to the right.
    pub(crate) fn indent(mut self, indent: usize) -> Self {
        self.indent = indent;
        if let Some(width) = self.inner.width() {
            self.inner.set_width(width.saturating_sub(u16::try_from(indent).unwrap_or(0)));
        }
        self
    }

    /// Columns of prose, which alone are wrapped when the terminal is narrow: an id in two pieces is of no use.
    pub(crate) fn flexible(mut self, columns: &[usize]) -> Self {
        self.flexible = columns.to_vec();
        self
    }

    /// Numbers stand right.
    pub(crate) fn right(mut self, column: usize) -> Self {
        if let Some(column) = self.inner.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (Tone, String)>) {
        self.inner.add_row(cells.into_iter().map(|(tone, text)| {
            let cell = Cell::new(text);
            match tone.colour() {
                Some(colour) => cell.fg(colour),
                None => cell,
            }
        }));
    }

    /// The table, with a newline at its end.
    pub(crate) fn render(mut self) -> String {
        for (i, column) in self.inner.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if !self.flexible.contains(&i) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let indent = " ".repeat(self.indent);
        self.inner.lines().map(|line| format!("{indent}{}\n", line.trim_end())).collect()
    }
}

/// A cell without colour.
pub(crate) fn plain(text: impl ToString) -> (Tone, String) {
    (Tone::Plain, text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_a_terminal_has_neither_lines_nor_colour_nor_wrapping() {
        let mut table = Table::new(Look { colour: false, width: None }, &["NODE", "N"]).right(1);
        table.row([(Tone::Bad, "node-1".to_owned()), plain(1)]);
        table.row([plain("x ".repeat(80).trim_end()), plain(200)]);
        let text = table.render();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.contains('\x1b') && !text.contains('|'), "{text}");
        assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
    }

    #[test]
    fn a_paragraph_is_wrapped_at_blanks_and_indented() {
        let look = Look { colour: false, width: Some(30) };
        assert_eq!(
            look.wrap(4, "one two three four five six seven"),
            "one two three four five\n    six seven".to_owned()
        );
    }
}
