//! The guards: what each no means and what to do about it.

use std::fmt::Write as _;

/// A guard as it is explained to operators.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Its name in refusals.
    pub name: &'static str,
    /// What its no means.
    pub means: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Whether it also refuses an operator's own `hactl fence`.
    pub by_hand: bool,
}

/// Every guard, in the order in which a verdict must pass them. An operator's own `fence` must pass those with `by_hand`.
pub const GUARDS: &[Guard] = &[
    Guard {
        name: "quorum",
        means: "there is one controller only: it shows verdicts and never fences, for nobody could contradict it",
        remedy: "run three controllers, or five",
        by_hand: true,
    },
    Guard {
        name: "noop",
        means: "the controllers decide and journal, but touch nothing",
        remedy: "read what they would have done in `hactl incidents`, then `hactl noop off`",
        by_hand: true,
    },
    Guard {
        name: "disarmed",
        means: "somebody ordered hands off: nothing is fenced and no node fences itself",
        remedy: "when the work is over: `hactl arm`",
        by_hand: true,
    },
    Guard {
        name: "maintenance",
        means: "this node is in maintenance, or disarmed by itself: nobody acts on what happens to it",
        remedy: "when the work is over: `hactl maintenance NODE off`, or `hactl arm NODE`",
        by_hand: true,
    },
    Guard {
        name: "not_protected",
        means: "the present boot of the node was neither armed nor admitted, so it runs nothing that we protect",
        remedy: "start its sentinel and its agent; `hactl why NODE` shows its watchdog and its bmc",
        by_hand: false,
    },
    Guard {
        name: "stale",
        means: "the observations, or Nova's answers, are too old to act on",
        remedy: "see `hactl status` for what is stale, and mend that first",
        by_hand: false,
    },
    Guard {
        name: "grace",
        means: "the controllers have just started, or have a new leader and several suspects, and do not know enough yet",
        remedy: "wait: 300 s after a cold start, 60 s after a change of leader",
        by_hand: false,
    },
    Guard {
        name: "all_suspected",
        means: "every protected node is suspected at once, so the fault is ours or the network's",
        remedy: "check the controllers' own links; nothing is fenced until some node is seen again",
        by_hand: false,
    },
    Guard {
        name: "storm",
        means: "many nodes of one failure domain are suspected at once: more likely a switch or a feed than the nodes",
        remedy: "find the common cause; it ends 120 s after the suspicion does. For one that must go now: `hactl fence NODE`",
        by_hand: false,
    },
    Guard {
        name: "no_room",
        means: "the node still answers on some network, and its VMs would not fit elsewhere in its cell: fencing it \
                would take down what runs",
        remedy: "make room, or enable another nova-compute; `hactl fence NODE` passes over it",
        by_hand: false,
    },
    Guard {
        name: "left_alone",
        means: "the node was fenced within the last three minutes",
        remedy: "wait: it may still be starting",
        by_hand: false,
    },
    Guard {
        name: "quarantine",
        means: "the node was fenced twice within six hours: fencing it again would not mend it",
        remedy: "repair it, then let it back with `hactl fenced release NODE`, or fence it by hand with `hactl fence NODE`",
        by_hand: false,
    },
    Guard {
        name: "in_flight",
        means: "as many nodes as may be fenced at the same time are being fenced",
        remedy: "wait for them; one that is blocked holds its place, see `hactl status`",
        by_hand: true,
    },
    Guard {
        name: "budget",
        means: "this failure domain has had its fences of the last 15 minutes",
        remedy: "find out why so many fail; then wait, or `hactl fence NODE`",
        by_hand: false,
    },
];

/// The page that `hactl guards` prints.
pub(crate) fn text() -> String {
    let mut out = String::from(
        "What the guards' refusals mean and what to do.\n\n\
         A guard is a question asked before a node is fenced. Its no is a refusal: while it\n\
         lasts no fence begins. It is shown in `hactl status`, `hactl nodes` and `hactl why`.\n\
         A fence that has begun is always finished. No safety rests on a guard.\n",
    );
    for guard in GUARDS {
        let by_hand = if guard.by_hand { " (also refuses `hactl fence`)" } else { "" };
        let Guard { name, means, remedy, .. } = guard;
        let _ = write!(out, "\n{name}{by_hand}\n    means  {means}\n    do     {remedy}\n");
    }
    out
}
