//! A core that begins anew in a process that goes on: a record can be replayed from the beginning of a core alone, so a
//! long one is followed by another core, made from this controller's own disk as after a restart.

use std::time::Duration;

use super::{RunError, Shell, start, starts, wall_ms};
use crate::core::{Controller, Settings};
use crate::event::Event;
use crate::raft::Restored;
use crate::record::{Frame, Head};

/// No core lives shorter: what it has seen of the nodes is worth more than a record. A lab has no such patience.
const LIVES: Duration = Duration::from_secs(10 * 60);
/// A leader gives its role away after this time at the earliest.
const LEADS: Duration = Duration::from_secs(60 * 60);
/// A leader tries to give its role away at most so often.
const GIVE_AWAY_AGAIN: Duration = Duration::from_secs(10);

impl Shell {
    /// Begins anew if the record is long, and nothing would be lost by it: no incident is open, nobody waits for an
    /// answer, and another controller leads. A leader gives its role away first.
    pub(super) fn renew_if_long(&mut self) -> Result<(), RunError> {
        if self.may_not_renew || !self.recorder.is_long() {
            return Ok(());
        }
        self.answers.retain(|_, answer| !answer.is_closed());
        let busy = self.core.registry().open_incidents().next().is_some();
        if busy || !self.answers.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let lived = now.saturating_sub(self.began);
        if !self.core.is_leader() {
            return if lived >= LIVES || self.config.lab { self.renew(now) } else { Ok(()) };
        }
        if lived < LEADS && !self.config.lab {
            return Ok(());
        }
        if self.gave_away.is_none_or(|at| now.saturating_sub(at) >= GIVE_AWAY_AGAIN) {
            self.gave_away = Some(now);
            tracing::info!("gives leadership away, so that a new record can begin");
            let mut effects = Vec::new();
            self.recorder.note(&Frame::HandOver { now });
            self.core.give_role_away(now, &mut effects);
            self.carry_out(effects)?;
        }
        Ok(())
    }

    fn renew(&mut self, now: Duration) -> Result<(), RunError> {
        let settings =
            starts::raise(&self.config.state_dir).map_err(RunError::Starts).and_then(|starts| {
                start::settings(&self.config, self.boot, starts, self.nova.is_some())
            });
        let mut settings = match settings {
            Ok(settings) => settings,
            Err(error) => {
                // The core that runs is as good as before.
                tracing::warn!(%error, "no new record can begin");
                self.may_not_renew = true;
                return Ok(());
            }
        };
        // This is no cold start: what was waited for already is not waited for again.
        settings.waits.grace = settings.waits.grace.saturating_sub(now);
        let restored = self.store.held().clone();
        let (core, effects) = begin(&mut self.recorder, now, settings, restored);
        (self.core, self.keys_index, self.began) = (core, None, now);
        self.carry_out(effects)?;
        let nodes = self.inventory.nodes.clone().into_iter().collect();
        self.deliver(Event::Inventory { nodes })
    }
}

/// A core and its record begin.
pub(super) fn begin(
    recorder: &mut super::recorder::Recorder,
    now: Duration,
    settings: Settings,
    restored: Restored,
) -> (Controller, Vec<crate::effect::Effect>) {
    recorder.begin(&Head::new(now, wall_ms(), &settings, &restored));
    let mut effects = Vec::new();
    let core = Controller::new(now, settings, restored, &mut effects);
    (core, effects)
}
