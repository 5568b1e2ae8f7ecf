use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

/// Faults to be switched on and off between calls. All off by default.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Glance answers this status instead of a list of images.
    pub glance: Option<u16>,
    /// The API answers 503 and does nothing.
    pub down: bool,
    /// Added to the time of every answer.
    pub slow: Duration,
    /// So many writes have their effect and then lose their reply.
    pub lost_replies: u32,
    /// So many writes have their effect and then answer 500.
    pub errors_with_effect: u32,
    /// So many writes get no reply and take effect only after [`Faults::late_by`].
    pub late_writes: u32,
    /// See [`Faults::late_writes`].
    pub late_by: Duration,
    /// Evacuations of these servers are refused with 400 as not supported.
    pub refuse: BTreeSet<Uuid>,
    /// These servers' rebuilds fail at the claim: record `failed`, server unchanged, no guest.
    pub fail_claim: BTreeSet<Uuid>,
    /// These servers' rebuilds fail after the spawn: record `failed`, server in ERROR, guest left running.
    pub fail_after_spawn: BTreeSet<Uuid>,
    /// The conductor's messages to computes are lost: records stay `accepted`.
    pub lose_messages: bool,
}
