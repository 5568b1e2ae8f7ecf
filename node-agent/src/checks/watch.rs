//! One check: when it is due, and what it says once it has said so often enough.

use std::time::Duration;

use fencing::checks::{Check, State};

use super::plan::{Outcome, Plan};

/// A shell that keeps its time has answered this much after it; from here on the check is late.
const SLACK: Duration = Duration::from_millis(500);

/// What is due now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// To be begun, under this number.
    Run(u64),
    /// Nothing came, and that changed what it says.
    Changed,
    /// Nothing to be done.
    Nothing,
}

/// A check, and what it said so far.
#[derive(Debug)]
pub(super) struct Watch {
    plan: Plan,
    state: State,
    before: State,
    code: i32,
    message: String,
    turn: u64,
    since: Duration,
    streak: Option<Streak>,
    /// When it is to be begun next, or when the next push is missed; `None`: nothing was ever pushed.
    next: Option<Duration>,
    running: Option<Running>,
    runs: u64,
}

#[derive(Debug)]
struct Running {
    number: u64,
    late_at: Duration,
    /// Whether it was counted as a failure already.
    late: bool,
}

/// Where an outcome is, seen from what the check says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Better,
    Worse,
    /// It says nothing any more.
    Silent,
}

/// Outcomes in a row that went the same way.
#[derive(Debug)]
struct Streak {
    way: Way,
    times: u32,
    /// The one among them that is nearest to what the check says now.
    nearest: Outcome,
}

impl Watch {
    /// A check that has said nothing yet, to be begun at `first`.
    pub(super) fn new(plan: Plan, now: Duration, first: Duration) -> Self {
        let next = (!plan.pushed).then_some(first);
        let (state, before) = (State::Unknown, State::Unknown);
        let message = "nothing was heard of it yet".to_owned();
        Self {
            plan,
            state,
            before,
            code: 0,
            message,
            turn: 1,
            since: now,
            streak: None,
            next,
            running: None,
            runs: 0,
        }
    }

    /// How often it changed, from 1 on.
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    /// Whether it says nothing that anybody should act upon.
    pub(super) fn is_calm(&self) -> bool {
        matches!(self.state, State::Ok | State::Unknown)
    }

    /// Whether somebody pushes it.
    pub(super) fn is_pushed(&self) -> bool {
        self.plan.pushed
    }

    /// As it travels.
    pub(super) fn told(&self, now: Duration) -> Check {
        Check {
            name: self.plan.name.clone(),
            turn: self.turn,
            state: self.state,
            before: self.before,
            code: self.code,
            message: self.message.clone(),
            for_s: u32::try_from(now.saturating_sub(self.since).as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// When [`Self::timeout`] wants to be called.
    pub(super) fn due(&self) -> Option<Duration> {
        // At most one run is out: a probe that hangs must not gather more of its kind.
        self.running.as_ref().map(|running| running.late_at).or(self.next)
    }

    /// The time has come.
    pub(super) fn timeout(&mut self, now: Duration) -> Due {
        if self.due().is_none_or(|due| now < due) {
            return Due::Nothing;
        }
        if let Some(running) = &mut self.running {
            (running.late, running.late_at) = (true, now + self.plan.every);
            let within = self.plan.within;
            return self.missed(now, &format!("did not end within {within:?}"));
        }
        if self.plan.pushed {
            self.next = Some(now + self.plan.every);
            let every = self.plan.every;
            return self.missed(now, &format!("nothing was pushed for {every:?}"));
        }
        self.runs += 1;
        let due = self.next.unwrap_or(now);
        self.next = Some((due + self.plan.every).max(now + self.plan.every / 2));
        let late_at = now + self.plan.within + SLACK;
        self.running = Some(Running { number: self.runs, late_at, late: false });
        Due::Run(self.runs)
    }

    /// A run has ended. Whether that changed what the check says.
    pub(super) fn ended(&mut self, now: Duration, number: u64, outcome: Outcome) -> bool {
        let Some(running) = self.running.take_if(|running| running.number == number) else {
            return false;
        };
        // One that was late was counted as such; what it says now is old.
        if running.late {
            return false;
        }
        self.saw(now, outcome)
    }

    /// Somebody pushed an outcome. Whether that changed what the check says.
    pub(super) fn pushed(&mut self, now: Duration, outcome: Outcome) -> bool {
        self.next = Some(now + self.plan.every);
        self.saw(now, outcome)
    }

    fn missed(&mut self, now: Duration, why: &str) -> Due {
        let changed = self.saw(now, Outcome::critical(0, why));
        if changed { Due::Changed } else { Due::Nothing }
    }

    fn saw(&mut self, now: Duration, outcome: Outcome) -> bool {
        let Some(way) = way(self.state, outcome.state) else {
            self.streak = None;
            return false;
        };
        // Nothing was said before: a check that is well need not prove it.
        let first = self.state == State::Unknown && outcome.state == State::Ok;
        let needed = match way {
            Way::Better if first => 1,
            Way::Better => self.plan.rise,
            Way::Worse | Way::Silent => self.plan.fall,
        };
        let streak = match self.streak.take().filter(|streak| streak.way == way) {
            Some(Streak { times, nearest, .. }) => {
                let nearer = match way {
                    Way::Better => outcome.state >= nearest.state,
                    Way::Worse | Way::Silent => outcome.state <= nearest.state,
                };
                let nearest = if nearer { outcome } else { nearest };
                Streak { way, times: times.saturating_add(1), nearest }
            }
            None => Streak { way, times: 1, nearest: outcome },
        };
        if streak.times < needed {
            self.streak = Some(streak);
            return false;
        }
        let Outcome { state, code, message } = streak.nearest;
        self.before = std::mem::replace(&mut self.state, state);
        (self.code, self.message, self.since) = (code, message, now);
        self.turn = self.turn.saturating_add(1);
        true
    }
}

/// `None`: it says the same.
fn way(now: State, seen: State) -> Option<Way> {
    match (now, seen) {
        (now, seen) if now == seen => None,
        (_, State::Unknown) => Some(Way::Silent),
        (State::Unknown, State::Ok) => Some(Way::Better),
        (State::Unknown, State::Warning | State::Critical) => Some(Way::Worse),
        (now, seen) if seen < now => Some(Way::Better),
        (_, _) => Some(Way::Worse),
    }
}
