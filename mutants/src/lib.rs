//! Deliberate breaks of a rule, one each: a check that no break can make fail proves nothing.
//!
//! A core asks [`is_on`] at the place of the rule. Without the feature `switchable` that is the constant `false`, and
//! the compiler drops the break; no program of this project builds with the feature, and a test says so. Numbers never
//! change their meaning: docs/safety.md keeps the table of what killed which.

#![forbid(unsafe_code)]

macro_rules! mutants {
    ($($number:ident: $breaks:literal, $oracle:literal;)*) => {
        /// One break.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Mutant {
            $(#[doc = $breaks] $number,)*
        }

        impl Mutant {
            /// All, in the order of their numbers.
            pub const ALL: &[Mutant] = &[$(Mutant::$number,)*];

            /// What it breaks, as half a sentence.
            #[must_use]
            pub fn breaks(self) -> &'static str {
                match self { $(Mutant::$number => $breaks,)* }
            }

            /// The oracle that must notice.
            #[must_use]
            pub fn oracle(self) -> &'static str {
                match self { $(Mutant::$number => $oracle,)* }
            }
        }
    };
}

mutants! {
    M01: "two W in the wait of E2, not three", "off_when_fenced";
    M02: "lease counted from receipt of the ack", "self_fence_deadline";
    M03: "feed from a timer while the main loop hangs", "self_fence_deadline";
    M04: "any one controller's ack suffices", "self_fence_deadline";
    M05: "promise lost in a controller restart", "no_ack_after_intent";
    M06: "acks go on after the intent", "no_ack_after_intent";
    M07: "wait counted from the leader's own promise", "off_when_fenced";
    M08: "the wall clock counts the lease", "self_fence_deadline";
    M09: "own watchdog timeout, L or C instead of the target's", "off_when_fenced";
    M10: "magic close on panic", "self_fence_deadline";
    M11: "device disarmed before `Disarmed` is committed", "mirror";
    M12: "T0 looks at the present controller set only", "off_when_fenced";
    M13: "evacuate at FenceIntent, not at Fenced", "evacuate_after_fence";
    M14: "verdict on gossip dead alone", "observers";
    M15: "one observer is enough", "observers";
    M16: "blind observers count", "observer_sanity";
    M17: "unknown read as down", "matrix_total";
    M18: "one power read is enough", "evidence_rules";
    M19: "return code of off is evidence", "evidence_rules";
    M20: "`cycle` instead of off", "evidence_rules";
    M21: "no GUID check", "identity";
    M22: "skip ReadIndex before an effect", "intent_first";
    M23: "E2 without `Armed`", "evidence_rules";
    M24: "release before older deadlines have passed", "late_effect_harmless";
    M25: "unset forced_down early", "nova_order";
    M26: "migration `failed` taken as clean", "evacuate_once";
    M27: "POST again on timeout", "evacuate_once";
    M28: "POST again on HTTP 500", "evacuate_once";
    M29: "skip the census", "evacuate_once";
    M30: "ignore task_state migrating", "no_evacuate_during_move";
    M31: "migration `completed` means success", "vms_settled";
    M32: "cap off", "mass_cap";
    M33: "storm stop off", "mass_cap";
    M34: "boot gate open", "boot_gate";
    M35: "disarm known to the leader only", "disarm_holds";
    M36: "applying an entry is not deterministic", "registry_agrees";
    M37: "fsync error ignored", "fail_static";
    M38: "vote written after the log", "raft_election_safety";
    M39: "an entry is committed without a quorum", "raft_committed_on_quorum";
    M40: "leader without majority goes on", "quorum_only";
    M41: "alarm of a blocked incident dropped", "nothing_stuck";
    M42: "no boot id in the fence event", "fence_event_auth";
    M43: "highest epoch not kept on disk", "fence_event_auth";
    M44: "suspicion never refuted", "quiet_cluster";
    M45: "an oracle is switched off", "canary";
    M46: "no promise of peers required for E2", "off_when_fenced";
    M47: "no wait wC after the promise", "off_when_fenced";
    M48: "no VERIFY", "off_when_fenced";
    M49: "VERIFY accepted from another boot", "off_when_fenced";
    M50: "asks counted from receipt of the vouch", "self_fence_deadline";
    M51: "majority of answers, not of registered voters", "off_when_fenced";
    M52: "current registry version only", "off_when_fenced";
    M53: "q - 1 promises suffice", "off_when_fenced";
    M54: "v - 1 vouches suffice", "off_when_fenced";
    M55: "vouch although the intent is known", "off_when_fenced";
    M56: "n reported before it is adopted", "off_when_fenced";
    M57: "a relay answers from its cache", "off_when_fenced";
    M58: "`Armed` committed before the device is open", "off_when_fenced";
    M59: "floor n_h = latest report, not frozen", "off_when_fenced";
    M60: "the victim counts among the promisers", "off_when_fenced";
    M61: "ask peers \"do you hold a lease?\" instead of vouching", "fleet_survives";
    M62: "device opened without a lease, or a kill's close not counted as a feed", "self_fence_deadline";
    M63: "release while a VM of the node may run elsewhere", "nova_order";
    M64: "after an UNKNOWN, POST to another destination", "evacuate_once";
    M65: "gate opens on a follower's word", "boot_gate";
    M66: "floor n_h from the ARMED entry's index", "off_when_fenced";
    M67: "insiders' v, q used for a node outside the electorate", "off_when_fenced";
    M68: "entries are taken without a look at the one before them", "raft_log_matching";
    M69: "a start reads the log as it was before its last snapshot", "raft_never_goes_back";
    M70: "a vote for a candidate whose log is behind", "raft_leader_completeness";
    M71: "entries are acknowledged before they are on disk", "no_contradiction";
    M72: "who has once heard a leader gives no vote any more", "one_leader";
    M73: "a row's settle time begins anew at every look", "detected";
    M74: "a BMC that once gave no answer is not asked again", "fenced_in_time";
    M75: "a question of the census that was lost is not asked again", "released";
    M76: "a snapshot that was lost on its way is waited for for ever", "views_converge";
    M77: "a node that was judged down is not looked for any more", "views_converge";
    M78: "a leader hands over although its own sweep is sound", "one_leader";
    M79: "a fence rests on what observers said a while ago", "observer_sanity";
    M80: "a BMC that was found to lie is believed", "evidence_rules";
    M81: "an order of somebody else is not waited for", "evacuate_once";
    M86: "a missing VM is rebooted although a node says nothing", "reboot_only_missing";
    M90: "a stray copy is ended although the other node does not show one", "stray_only";
    M95: "what a check said of an earlier boot counts", "check_says_so";
    M96: "an agent is not asked again before its check fences", "check_says_so";
    M97: "an operator's force-down is taken for ours", "nova_order";
    M98: "a VM is evacuated although another node says that it runs it", "evacuate_once";
    M99: "no node is asked what it runs before the first order goes out", "evacuate_once";
    M100: "a snapshot of the log is taken in although a piece of it is missing", "adopted_is_committed";
    M101: "pieces of two snapshots of the log are put together", "adopted_is_committed";
    M102: "a snapshot of the log is laid over an older state", "adopted_is_committed";
}

#[cfg(feature = "switchable")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static PRESENT: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// From now on this thread runs with that break, and with no other; `None` ends it.
    pub fn switch(mutant: Option<Mutant>) {
        PRESENT.set(mutant);
    }

    /// Whether this thread runs with that break.
    #[must_use]
    pub fn is_on(mutant: Mutant) -> bool {
        PRESENT.get() == Some(mutant)
    }
}

#[cfg(feature = "switchable")]
pub use switch::{is_on, switch};

/// Never: this build has no breaks.
#[cfg(not(feature = "switchable"))]
#[must_use]
pub const fn is_on(_: Mutant) -> bool {
    false
}
