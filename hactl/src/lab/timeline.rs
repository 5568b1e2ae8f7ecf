//! What is printed while a lab runs: a line per thing that happened, with the seconds since the fault.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::table::{Look, Tone};

/// Prints. Clones print on the same page.
#[derive(Clone)]
pub(super) struct Timeline {
    look: Look,
    /// Programs read stdout, so that people are told on stderr.
    aside: bool,
    fault: Arc<Mutex<Option<Instant>>>,
}

impl Timeline {
    pub(super) fn new(look: Look, aside: bool) -> Self {
        Self { look, aside, fault: Arc::default() }
    }

    /// From now on lines tell the seconds since `at`.
    pub(super) fn fault(&self, at: Instant) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// A line about something that happened at `at`; `who` says or did it.
    pub(super) fn happened(&self, at: Instant, tone: Tone, who: &str, what: &str) {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let since = fault.map(|fault| at.saturating_duration_since(fault).as_secs_f64());
        let since = since.map_or_else(|| " ".repeat(9), |since| format!("{since:>7.2} s"));
        self.print(&format!("{since}  {who:<13} {}\n", self.look.paint(tone, what)));
    }

    /// A line of progress.
    pub(super) fn progress(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// A heading.
    pub(super) fn heading(&self, text: &str) {
        self.print(&format!("\n{}\n", self.look.bold(text)));
    }

    /// How pages look here.
    pub(super) fn look(&self) -> Look {
        self.look
    }

    /// Text as it is. A reader that left is no failure of the lab.
    pub(super) fn print(&self, text: &str) {
        if self.aside {
            let _ = std::io::stderr().write_all(text.as_bytes());
        } else {
            let mut out = std::io::stdout();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}
