//! A core that begins anew in a process that goes on: a record can be replayed from the beginning of a core alone, so a
//! long one is followed by another core, made from this controller's own disk as after a restart.

use std::time::Duration;

use super::{RunError, Shell, start, starts, wall_ms};
use crate::core::{Controller, Settings, Turn};
use crate::event::Event;
use crate::raft::Restored;
use crate::record::{Frame, Head};

impl Shell {
    /// Carries out what [`Lives`](crate::core::Lives) says of a record that is long.
    pub(super) fn renew_if_long(&mut self) -> Result<(), RunError> {
        if self.may_not_renew || !self.recorder.is_long() {
            return Ok(());
        }
        self.answers.retain(|_, answer| !answer.is_closed());
        let now = self.now();
        match self.lives.turn(now, &self.core, !self.answers.is_empty()) {
            Turn::GoOn => Ok(()),
            Turn::BeginAnew => self.renew(now),
            Turn::GiveRoleAway => {
                tracing::info!("gives leadership away, so that a new record can begin");
                let mut effects = Vec::new();
                self.recorder.note(&Frame::HandOver { now });
                self.core.give_role_away(now, &mut effects);
                self.carry_out(effects)
            }
        }
    }

    fn renew(&mut self, now: Duration) -> Result<(), RunError> {
        let settings =
            starts::raise(&self.config.state_dir).map_err(RunError::Starts).and_then(|starts| {
                start::settings(&self.config, self.boot, starts, self.nova.is_some())
            });
        let settings = match settings {
            Ok(settings) => settings,
            Err(error) => {
                // The core that runs is as good as before.
                tracing::warn!(%error, "no new record can begin");
                self.may_not_renew = true;
                return Ok(());
            }
        };
        let settings = self.lives.begins(now, settings);
        let restored = self.store.held().clone();
        let (core, effects) = begin(&mut self.recorder, now, settings, restored);
        (self.core, self.keys_index) = (core, None);
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
