//! The census: which domains run on which node, asked with a nonce. Only an answer to a question that was asked after a
//! given time says anything about the time since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fencing::census::{self, Message};
use fencing::{BootId, NodeId};
use uuid::Uuid;

use crate::core::Controller;
use crate::effect::Effect;

/// A node is asked at most this often.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A node that does not answer is asked for so long after its answer was last wanted.
const WANTED_FOR: Duration = Duration::from_secs(60);
/// Parts of one answer that are kept at most.
const MOST_PARTS: u16 = 256;

/// What is asked and answered.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Whose answer is wanted, and when that was last said.
    wanted: BTreeMap<NodeId, Duration>,
    asked: BTreeMap<NodeId, Asked>,
    answers: BTreeMap<NodeId, Answer>,
}

#[derive(Debug)]
struct Asked {
    nonce: u64,
    at: Duration,
    parts: BTreeMap<u16, Vec<Uuid>>,
}

/// A whole answer.
#[derive(Debug)]
struct Answer {
    nonce: u64,
    asked_at: Duration,
    boot: BootId,
    domains: BTreeSet<Uuid>,
}

impl Survey {
    fn answered(&mut self, message: Message) {
        let Message::Answer { nonce, node, boot, part, parts, domains } = message else { return };
        let Some(asked) = self.asked.get_mut(&node).filter(|asked| asked.nonce == nonce) else {
            return;
        };
        if parts == 0 || parts > MOST_PARTS || part >= parts {
            return;
        }
        asked.parts.insert(part, domains);
        if asked.parts.len() == usize::from(parts) {
            let domains = asked.parts.values().flatten().copied().collect();
            let answer = Answer { nonce, asked_at: asked.at, boot, domains };
            self.answers.insert(node, answer);
            self.wanted.remove(&node);
            self.asked.remove(&node);
        }
    }
}

impl Controller {
    /// The domains of a boot, if it was asked after `since`; else it is asked now.
    pub(super) fn census_of(
        &mut self,
        node: NodeId,
        boot: BootId,
        since: Duration,
    ) -> Option<BTreeSet<Uuid>> {
        let now = self.now;
        let survey = &mut self.leading.as_mut()?.survey;
        let answer = survey
            .answers
            .get(&node)
            .filter(|answer| answer.asked_at >= since && answer.boot == boot)
            .map(|answer| answer.domains.clone());
        if answer.is_none() {
            survey.wanted.insert(node, now);
        }
        answer
    }

    /// What a boot answered to a question that was asked after `since`, and when that was asked. Nobody is asked.
    pub(super) fn census_since(
        &self,
        node: NodeId,
        boot: BootId,
        since: Duration,
    ) -> Option<(Duration, &BTreeSet<Uuid>)> {
        let answer = self.leading.as_ref()?.survey.answers.get(&node)?;
        let counts = answer.asked_at >= since && answer.boot == boot;
        counts.then_some((answer.asked_at, &answer.domains))
    }

    /// Asks those who have not answered since.
    pub(super) fn want_census(&mut self, nodes: &[(NodeId, BootId)], since: Duration) {
        let silent =
            nodes.iter().filter(|(node, boot)| self.census_since(*node, *boot, since).is_none());
        let silent: Vec<_> = silent.map(|(node, _)| (*node, self.now)).collect();
        if let Some(leading) = &mut self.leading {
            leading.survey.wanted.extend(silent);
        }
    }

    /// The nonce of the last census that a boot answered.
    pub(super) fn census_nonce(&self, node: NodeId, boot: BootId) -> Option<u64> {
        let answers = &self.leading.as_ref()?.survey.answers;
        answers.get(&node).filter(|answer| answer.boot == boot).map(|answer| answer.nonce)
    }

    /// The domains of every node that is not proven off, if all of them were asked after `since` and answered. A node whose
    /// fence is still under way may run anything: until it answers or is off, nothing is known.
    pub(super) fn census_of_all(
        &mut self,
        since: Duration,
    ) -> Option<BTreeMap<NodeId, BTreeSet<Uuid>>> {
        let nodes: Vec<(NodeId, BootId)> = self
            .registry
            .nodes()
            .iter()
            .filter(|(id, _)| !self.is_proven_off(**id))
            .filter_map(|(id, node)| Some((*id, node.serving_boot()?)))
            .collect();
        let answers = nodes
            .into_iter()
            .map(|(node, boot)| self.census_of(node, boot, since).map(|domains| (node, domains)));
        // Every node is asked, also when the first has not answered yet.
        let answers: Vec<_> = answers.collect();
        answers.into_iter().collect()
    }

    /// Whether the node's fence has its evidence and nothing contradicts it.
    pub(super) fn is_proven_off(&self, node: NodeId) -> bool {
        let incident = self.registry.incident_of(node);
        incident.is_some_and(|incident| self.registry.fenced(incident.id).is_some())
    }

    /// An agent answered.
    pub(super) fn census_answered(&mut self, message: Message) {
        if let Some(leading) = &mut self.leading {
            leading.survey.answered(message);
        }
    }

    /// Asks who is wanted and was not asked a moment ago, over every network.
    pub(super) fn ask_census(&mut self, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(leading) = &mut self.leading else { return };
        leading.survey.wanted.retain(|_, since| now.saturating_sub(*since) < WANTED_FOR);
        let recently = |node: &NodeId| {
            leading.survey.asked.get(node).is_some_and(|asked| {
                now.saturating_sub(asked.at) < ASK_EVERY || mutants::is_on(mutants::Mutant::M75)
            })
        };
        let nodes: Vec<NodeId> =
            leading.survey.wanted.keys().filter(|node| !recently(node)).copied().collect();
        for node in nodes {
            let nonce = self.random();
            if let Some(leading) = &mut self.leading {
                leading.survey.asked.insert(node, Asked { nonce, at: now, parts: BTreeMap::new() });
            }
            let Ok(bytes) = postcard::to_stdvec(&Message::Ask { nonce }) else { continue };
            for sight in &self.sights {
                sight.talk(node, census::CHANNEL, &bytes, out);
            }
        }
    }
}
