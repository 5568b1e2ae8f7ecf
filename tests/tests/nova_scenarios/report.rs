//! What was seen, scenario by scenario.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What one act has told. Clones are the same.
#[derive(Clone)]
pub(crate) struct Told(Arc<Mutex<Seen>>);

struct Seen {
    /// When the scenario before was told, or the act began.
    last: Instant,
    names: Vec<&'static str>,
}

impl Told {
    pub(crate) fn begin() -> Told {
        Told(Arc::new(Mutex::new(Seen { last: Instant::now(), names: Vec::new() })))
    }

    /// A scenario has ended as it must.
    pub(crate) fn saw(&self, name: &'static str, what: impl AsRef<str>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        println!("  {:6.1} s  {name}: {}", seen.last.elapsed().as_secs_f64(), what.as_ref());
        seen.last = Instant::now();
        seen.names.push(name);
    }

    /// Names of those that were seen to their end.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.clone()
    }
}
