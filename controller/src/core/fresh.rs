//! Freshness: actions stop while what they rest on is too old, and whoever looks is told what that is and since when.
//!
//! The same rule as in Cloud Foundry's HM9000. New fences wait; what is under way goes on.

use std::time::Duration;

use super::cloud::List;
use crate::core::Controller;
use crate::effect::Effect;
use crate::nova::{Reply, Written};

/// Nova is asked at least so often.
const ASK_NOVA_EVERY: Duration = Duration::from_secs(30);
/// Without an answer for this long it is stale, though no recovery waits for it.
const NOVA_STALE: Duration = Duration::from_secs(60);

impl Controller {
    /// Asks Nova now and then, so that it is known before a node fails whether it answers, and how much room there is.
    pub(super) fn keep_fresh(&mut self) {
        if self.settings.nova && self.leading.as_ref().is_some_and(|leading| leading.begun) {
            let fresh = self.list_is_fresh(List::Hypervisors, ASK_NOVA_EVERY);
            if !fresh {
                self.refresh_images();
            }
        }
    }

    /// Nova answered, or did not. One that nothing waits for may be silent for a while.
    pub(super) fn note_freshness(&mut self, reply: &Reply, patient: bool, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(leading) = &mut self.leading else { return };
        if let Reply::ReadFailed(failure) = reply {
            let silent = now.saturating_sub(*leading.nova_heard.get_or_insert(now));
            if patient && silent < NOVA_STALE {
                return;
            }
            let why = failure.to_string();
            if leading.nova_trouble.is_none() {
                out.push(Effect::page("nova", format!("no answer that can be used: {why}")));
            }
            leading.nova_trouble = Some(why);
            return;
        }
        if matches!(reply, Reply::Written(Written::Unknown(_) | Written::NotSent(_))) {
            // Nobody knows whether Nova has heard it, so it has not answered.
            return;
        }
        leading.nova_heard = Some(now);
        if leading.nova_trouble.take().is_some() {
            out.push(Effect::journal("nova", "answers again"));
        }
    }

    /// What is stale, with its age.
    pub(super) fn stale(&self, now: Duration) -> Vec<String> {
        let Some(leading) = &self.leading else { return Vec::new() };
        let nova = leading.nova_trouble.as_ref().map(|why| {
            let silent = leading.nova_heard.map_or(0, |at| now.saturating_sub(at).as_secs());
            format!(
                "Nova for {silent} s: {why}; mend nova-api or Keystone: no new fence begins before"
            )
        });
        let networks = self.settings.networks.iter().zip(&self.sights);
        let dark = networks.filter(|(_, sight)| sight.is_dark()).map(|(name, _)| {
            format!("network {name}: too few controllers see it, so no node is judged on it; look at the switch")
        });
        nova.into_iter().chain(dark).collect()
    }
}
