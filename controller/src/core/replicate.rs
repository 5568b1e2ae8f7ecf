//! Between the core and Raft: proposals in, committed entries out.

use fencing::{ControllerId, NodeId};
use mutants::{Mutant, is_on};

use super::copies::Copies;
use crate::core::{Controller, Leading};
use crate::effect::{Effect, PeerMessage};
use crate::raft::{Index, Output, Raft};
use crate::registry::{Command, Entry, Registry};

impl Controller {
    /// Proposes a command; whether it is ever committed is seen when it is applied. `false` when this controller does not
    /// lead.
    pub(super) fn propose(&mut self, command: Command, out: &mut Vec<Effect>) -> bool {
        let entry = Entry { at_ms: self.wall_ms, by: self.settings.me, command };
        let Ok(bytes) = postcard::to_stdvec(&entry) else { return false };
        let mut taken = false;
        self.with_raft(out, |raft, outputs| taken = raft.propose(bytes, outputs).is_ok());
        taken
    }

    /// Lets Raft take a step and carries its outputs on, in order.
    pub(super) fn with_raft(
        &mut self,
        out: &mut Vec<Effect>,
        step: impl FnOnce(&mut Raft, &mut Vec<Output>),
    ) {
        let mut outputs = Vec::new();
        step(&mut self.raft, &mut outputs);
        for output in outputs {
            self.take(output, out);
        }
    }

    fn take(&mut self, output: Output, out: &mut Vec<Effect>) {
        match output {
            Output::Persist(write) => {
                let changed = write.changes_from();
                out.push(Effect::Persist(write));
                if let Some(index) = changed {
                    self.see_tail(Some(index));
                }
            }
            Output::Send { to, message } => {
                let message = PeerMessage::Raft(message);
                out.push(Effect::Peer { to: ControllerId(to.0), message });
            }
            Output::Apply { index, term, command } => self.apply(index.0, term.0, &command, out),
            Output::Install { index, state, .. } => self.install(index.0, &state, out),
            Output::SnapshotWanted { index } => {
                let state = self.registry.to_bytes();
                self.with_raft(out, |raft, outputs| raft.compact(index, state, outputs));
            }
            Output::Role { leader, me_leading, term } => self.role(leader, me_leading, term.0, out),
            Output::ReadReady { ticket, index } => self.confirmed(ticket, index, out),
            Output::Halt { reason } => out.push(Effect::Halt(reason)),
        }
    }

    fn apply(&mut self, index: u64, term: u64, bytes: &[u8], out: &mut Vec<Effect>) {
        if bytes.is_empty() {
            // The entry with which a leader begins its term: from here on it may judge (rule 11).
            self.registry.skip(index);
            if let Some(leading) = &mut self.leading
                && leading.term == term
            {
                leading.begun = true;
            }
            return;
        }
        let entry: Entry = match postcard::from_bytes(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                out.push(Effect::Halt(format!(
                    "entry {index} cannot be read ({error}): this controller is older than the one that wrote it; \
                     upgrade it"
                )));
                return;
            }
        };
        let about = self.about(&entry.command);
        match self.registry.apply(term, index, &entry) {
            Ok(()) => {
                self.journal_entry(index, term, &about, &entry.command, out);
                self.applied(index, term, &entry, out);
            }
            Err(rejected) => {
                let text = format!("{about}{} rejected: {rejected}  index={index}", entry.command);
                out.push(Effect::journal("registry", text));
                self.finish_order(index, Err(rejected), out);
            }
        }
        self.see_tail(None);
    }

    /// A snapshot replaces the state: at start this controller's own, later one from the leader.
    fn install(&mut self, index: u64, state: &[u8], out: &mut Vec<Effect>) {
        match Registry::from_bytes(state) {
            Ok(registry) => {
                self.registry = registry;
                self.copies = Copies::default();
                let open: Vec<u64> = self
                    .registry
                    .open_incidents()
                    .filter_map(|incident| incident.fence().map(|fence| fence.epoch.index))
                    .collect();
                open.into_iter().for_each(|index| {
                    self.intent_known.entry(index).or_insert(self.now);
                });
                self.take_matrix(out);
                self.retarget();
                self.see_tail(Some(0));
            }
            Err(error) => {
                out.push(Effect::Halt(format!("the snapshot at {index} cannot be read: {error}")));
            }
        }
    }

    /// What a committed entry sets in motion on every controller, beside the registry.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most entries set nothing in motion here")]
    fn applied(&mut self, index: u64, _term: u64, entry: &Entry, out: &mut Vec<Effect>) {
        match &entry.command {
            Command::Enrol { .. } | Command::Armed { .. } | Command::Admitted { .. } => {
                self.retarget();
            }
            Command::Matrix { .. } => self.take_matrix(out),
            Command::Intent { .. } => {
                self.intent_known.entry(index).or_insert(self.now);
            }
            Command::Verify { epoch } => self.verify_committed(*epoch, index),
            Command::Attempt { incident, vm, .. } => self.attempt_committed(*incident, *vm, index),
            Command::Reboot { vm } => self.reboot_committed(*vm),
            Command::EndStray { vm, .. } => self.end_committed(*vm, index),
            Command::Fenced { .. } | Command::Cancel { .. } => self.forget_intents(),
            Command::Moved { incident, vm, destination, .. } => {
                self.landed(*incident, *vm, destination);
            }
            _ => {}
        }
        self.tell_drill(&entry.command, out);
        self.finish_order(index, Ok(()), out);
        self.next_look = self.now;
    }

    fn forget_intents(&mut self) {
        let open: Vec<u64> = self
            .registry
            .open_incidents()
            .filter_map(|incident| incident.fence().map(|fence| fence.epoch.index))
            .collect();
        self.intent_known.retain(|index, _| open.contains(index));
    }

    /// Which nodes have an intent in the part of the log that is not applied yet. It counts from the moment it is in the
    /// log: the Persist goes out before any ack of the same event. What stands before `changed` was seen already, and
    /// without it all.
    pub(super) fn see_tail(&mut self, changed: Option<u64>) {
        let changed = if is_on(Mutant::M07) { Some(0) } else { changed };
        let applied = self.raft.applied().0;
        let seen = |index: u64| changed.is_none_or(|changed| index < changed);
        self.tail_intents.retain(|(index, _)| seen(*index) && *index > applied);
        let Some(changed) = changed else { return };
        let lost = if is_on(Mutant::M05) { self.held_at_start } else { 0 };
        let news = self.raft.tail(Index(changed.saturating_sub(1)));
        for (index, _, bytes) in news.filter(|(index, _, _)| index.0 > lost) {
            let Ok(entry) = postcard::from_bytes::<Entry>(bytes) else { continue };
            let Command::Intent { node, .. } = entry.command else { continue };
            if is_on(Mutant::M07) && self.leading.is_some() {
                self.intent_known.entry(index.0).or_insert(self.now);
            }
            self.tail_intents.push((index.0, node));
        }
    }

    fn role(
        &mut self,
        leader: Option<crate::raft::PeerId>,
        me_leading: bool,
        term: u64,
        out: &mut Vec<Effect>,
    ) {
        let led = self.leading.as_ref().map(|leading| leading.term);
        if led.is_some() && (!me_leading || led != Some(term)) {
            if let Some(leading) = self.leading.take() {
                Self::void_orders(leading, out);
            }
            self.outbox.clear();
            let now = self.now;
            self.sights.iter_mut().for_each(|sight| sight.lead(now, false));
        }
        if me_leading && self.leading.is_none() {
            self.leading = Some(Leading::new(self.now, term));
            let now = self.now;
            self.sights.iter_mut().for_each(|sight| sight.lead(now, true));
            let text = format!("{} leads  term={term}", self.settings.me);
            out.push(Effect::journal("raft", text));
        } else if leader.is_none() {
            out.push(Effect::journal("raft", format!("no leader  term={term}")));
        }
    }

    /// Gives leadership to the follower that is furthest.
    pub(super) fn hand_over(&mut self, out: &mut Vec<Effect>) {
        let me = crate::raft::PeerId(self.settings.me.0);
        let next = self.raft.matched().into_iter().filter(|(id, _)| *id != me);
        if let Some((to, _)) = next.max_by_key(|(id, index)| (*index, std::cmp::Reverse(*id))) {
            self.with_raft(out, |raft, outputs| raft.transfer(to, outputs));
        }
    }

    fn journal_entry(
        &self,
        index: u64,
        term: u64,
        about: &str,
        command: &Command,
        out: &mut Vec<Effect>,
    ) {
        // Followers apply the same entries; one story in one journal is enough, and a leader tells it.
        if self.leading.is_none() || matches!(command, Command::Minute) {
            return;
        }
        let text = format!("{about}{command}  index={index} term={term}");
        // A VM that is left behind stays so until a human has looked.
        let parked = matches!(command, Command::Parked { .. });
        out.push(if parked {
            Effect::page("registry", text)
        } else {
            Effect::journal("registry", text)
        });
    }

    /// The node that a command is about, as a prefix for its line.
    fn about(&self, command: &Command) -> String {
        let by_incident = |id| self.registry.incidents().get(id).map(|incident| incident.node);
        let by_epoch = |epoch: &fencing::Epoch| {
            let mut fences = self.registry.incidents().values();
            fences.find(|i| i.fence().is_some_and(|f| f.epoch == *epoch)).map(|i| i.node)
        };
        let node: Option<NodeId> = match command {
            Command::Armed { node, .. }
            | Command::BmcEnrolled { node, .. }
            | Command::BmcDistrusted { node, .. }
            | Command::WatchdogTested { node, .. }
            | Command::Admitted { node, .. }
            | Command::Disarmed { node, .. }
            | Command::ArmWanted { node }
            | Command::Maintenance { node, .. }
            | Command::Opened { node, .. }
            | Command::Missed { node, .. }
            | Command::EndStray { node, .. }
            | Command::Intent { node, .. } => Some(*node),
            Command::Verify { epoch }
            | Command::Cancel { epoch, .. }
            | Command::Fenced { epoch, .. } => by_epoch(epoch),
            Command::Frozen { incident, .. }
            | Command::ForcingDown { incident }
            | Command::ForcedDown { incident, .. }
            | Command::Disabled { incident, .. }
            | Command::Planned { incident, .. }
            | Command::Attempt { incident, .. }
            | Command::Sent { incident, .. }
            | Command::Void { incident, .. }
            | Command::Moved { incident, .. }
            | Command::Parked { incident, .. }
            | Command::Approved { incident, .. }
            | Command::Reserve { incident, .. }
            | Command::Recovered { incident }
            | Command::Released { incident, .. }
            | Command::Returned { incident }
            | Command::Closed { incident, .. } => by_incident(incident),
            Command::Enrol { .. }
            | Command::Controllers { .. }
            | Command::DisarmAll { .. }
            | Command::Noop { .. }
            | Command::Matrix { .. }
            | Command::GiveBack { .. }
            | Command::GivenBack { .. }
            | Command::DisarmOver
            | Command::Reboot { .. }
            | Command::Accounted { .. }
            | Command::Reaped { .. }
            | Command::Minute => None,
        };
        node.map(|node| format!("{} ", self.name(node))).unwrap_or_default()
    }

    fn take_matrix(&mut self, out: &mut Vec<Effect>) {
        let Some(applied) = self.registry.matrices().last() else { return };
        match action_matrix::Matrix::parse("committed matrix", &applied.text) {
            Ok(loaded) if loaded.matrix.networks() == self.settings.networks => {
                self.matrix = loaded.matrix;
            }
            Ok(_) | Err(_) => out.push(Effect::page(
                "registry",
                format!(
                    "the matrix at index {} does not load here; the one before it stays",
                    applied.index
                ),
            )),
        }
    }

    fn retarget(&mut self) {
        let now = self.now;
        for (place, sight) in self.sights.iter_mut().enumerate() {
            let nodes = self.registry.nodes().iter().filter_map(|(id, node)| {
                let ping = *node.record.sentinel.get(place)?;
                let gossip = *node.record.gossip.get(place)?;
                let serves = node.serving_boot().is_some();
                Some((*id, ping, gossip, node.record.domain.as_str(), serves))
            });
            sight.set_targets(now, nodes);
        }
    }
}
