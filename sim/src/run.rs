//! A world with its oracles.

use std::time::Duration;

use crate::fact::Fact;
use crate::oracle::{self, Oracle, Violation};
use crate::world::{Plan, World};

/// A run.
pub struct Run {
    /// The world.
    pub world: World,
    oracles: Vec<Box<dyn Oracle>>,
    /// Facts of the last event; kept for its memory.
    facts: Vec<Fact>,
    /// The first word of each oracle, in a run that goes on past it.
    past: Option<Vec<Violation>>,
}

/// A cluster that has not come to rest after this time never will.
const SETTLES_WITHIN: Duration = Duration::from_secs(300);

/// More events than this at one moment: some core asks to be woken for a time that is over, again and again.
const STANDS_STILL: u32 = 100_000;

/// Why a run did not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSettled {
    /// It did not come to rest. Nothing can be told of it.
    #[error("the cluster did not settle within {} s", SETTLES_WITHIN.as_secs())]
    Late,
    /// A property was broken before the story began. Nothing can be told of it.
    #[error("while it settled: {0}")]
    Broken(String),
}

impl Run {
    /// A cluster that is switched on and has come to rest: its story begins.
    ///
    /// # Errors
    /// [`NotSettled`]: there is no run.
    pub fn settled(plan: Plan) -> Result<Self, NotSettled> {
        Self::settled_telling(plan, |_| {})
    }

    /// The same; `told` sees the world after each second.
    ///
    /// # Errors
    /// [`NotSettled`]: there is no run.
    pub fn settled_telling(plan: Plan, told: impl FnMut(&World)) -> Result<Self, NotSettled> {
        Self::new(plan, None).settle(told)
    }

    /// The same, but a broken property ends neither the settling nor the run: each oracle's first word is kept.
    ///
    /// # Errors
    /// [`NotSettled::Late`]: there is no run.
    pub fn settled_going_past(plan: Plan) -> Result<Self, NotSettled> {
        Self::new(plan, Some(Vec::new())).settle(|_| {})
    }

    fn new(plan: Plan, past: Option<Vec<Violation>>) -> Self {
        fencing::keep_verifications();
        Self { world: World::new(plan), oracles: oracle::all(), facts: Vec::new(), past }
    }

    fn settle(self, mut told: impl FnMut(&World)) -> Result<Self, NotSettled> {
        let mut run = self;
        let waits = run.world.plan().waits;
        let grace = waits.grace.max(waits.new_leader);
        let second = Duration::from_secs(1);
        while run.world.now() < SETTLES_WITHIN {
            run.go_on(second).map_err(|broken| NotSettled::Broken(broken.to_string()))?;
            told(&run.world);
            if run.world.is_settled() && run.world.now() > grace + second * 5 {
                let now = run.world.now();
                run.world.story.begin(now);
                return Ok(run);
            }
        }
        Err(NotSettled::Late)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The first property that was broken; the run is over.
    pub fn go_on(&mut self, span: Duration) -> Result<(), Violation> {
        self.go_on_until(span, |_| false).map(|_| ())
    }

    /// Lets time pass until something has come, or for this long. Whether it came.
    ///
    /// # Errors
    /// The first property that was broken; the run is over.
    pub fn go_on_until(
        &mut self,
        most: Duration,
        come: impl Fn(&World) -> bool,
    ) -> Result<bool, Violation> {
        let until = self.world.now() + most;
        self.judge()?;
        let mut here = (self.world.now(), 0);
        while self.world.step(until) {
            self.judge()?;
            if come(&self.world) {
                return Ok(true);
            }
            here = if here.0 == self.world.now() {
                (here.0, here.1 + 1)
            } else {
                (self.world.now(), 0)
            };
            if here.1 > STANDS_STILL {
                let at = self.world.now().saturating_sub(self.world.story.began());
                let what = format!("time stands still: {}", self.world.busy());
                return Err(Violation { oracle: "time_passes", at, what });
            }
        }
        Ok(false)
    }

    /// How often an oracle of this name had something to judge; `None` when there is none.
    pub fn judged(&self, name: &str) -> Option<u64> {
        self.oracles.iter().find(|oracle| oracle.name() == name).map(|oracle| oracle.judged())
    }

    /// What was broken so far, in a run that goes on past it: the first word of each oracle, in their order.
    pub fn broken(&self) -> &[Violation] {
        self.past.as_deref().unwrap_or_default()
    }

    /// All oracles.
    pub fn oracles(&self) -> impl Iterator<Item = &dyn Oracle> {
        self.oracles.iter().map(AsRef::as_ref)
    }

    fn judge(&mut self) -> Result<(), Violation> {
        self.world.take_facts(&mut self.facts);
        for fact in &self.facts {
            for oracle in &mut self.oracles {
                let Err(what) = oracle.judge(&self.world, fact) else { continue };
                let at = self.world.now().saturating_sub(self.world.story.began());
                let broken = Violation { oracle: oracle.name(), at, what };
                match &mut self.past {
                    None => return Err(broken),
                    Some(past) if past.iter().all(|known| known.oracle != broken.oracle) => {
                        past.push(broken);
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }
}
