//! When a core is followed by another in a process that goes on. Its record can be replayed from the beginning of a core
//! alone, so a long one ends with its core, and the next is made from this controller's own disk as after a restart.

use std::time::Duration;

use super::{Controller, Settings};

/// A leader tries to give its role away at most so often.
const GIVE_AWAY_AGAIN: Duration = Duration::from_secs(10);

/// How long a core lives at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// As a follower: what it has seen of the nodes is worth more than a record.
    pub lives: Duration,
    /// Before a leader gives its role away.
    pub leads: Duration,
}

impl Patience {
    /// In production.
    pub const LONG: Self =
        Self { lives: Duration::from_secs(10 * 60), leads: Duration::from_secs(60 * 60) };
    /// In a lab.
    pub const NONE: Self = Self { lives: Duration::ZERO, leads: Duration::ZERO };
}

/// What a controller does whose record is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something would be lost, or it is too soon.
    GoOn,
    /// It leads: another is to lead before it begins anew.
    GiveRoleAway,
    /// Another core takes its place.
    BeginAnew,
}

/// The lives of the cores of one process.
#[derive(Clone, Debug)]
pub struct Lives {
    patience: Patience,
    /// When the first of them began.
    first: Duration,
    /// When the present one began.
    began: Duration,
    gave_away: Option<Duration>,
}

impl Lives {
    /// A process whose first core begins now.
    pub fn new(patience: Patience, now: Duration) -> Self {
        Self { patience, first: now, began: now, gave_away: None }
    }

    /// What to do about a record that is long: nothing while an incident is open, while a node is watched, which another
    /// core would have to begin anew with, or while somebody is `waiting` for an answer of this one. To be asked again
    /// whenever something has happened.
    pub fn turn(&mut self, now: Duration, core: &Controller, waiting: bool) -> Turn {
        if waiting || core.watches() || core.registry().open_incidents().next().is_some() {
            return Turn::GoOn;
        }
        let lived = now.saturating_sub(self.began);
        if !core.is_leader() {
            return if lived >= self.patience.lives { Turn::BeginAnew } else { Turn::GoOn };
        }
        let tried = self.gave_away.is_some_and(|at| now.saturating_sub(at) < GIVE_AWAY_AGAIN);
        if lived < self.patience.leads || tried {
            return Turn::GoOn;
        }
        self.gave_away = Some(now);
        Turn::GiveRoleAway
    }

    /// Another core begins now: its settings. This is no cold start, so what was waited for already is not waited for
    /// again.
    pub fn begins(&mut self, now: Duration, mut settings: Settings) -> Settings {
        self.began = now;
        let waited = now.saturating_sub(self.first);
        settings.waits.grace = settings.waits.grace.saturating_sub(waited);
        settings
    }
}
