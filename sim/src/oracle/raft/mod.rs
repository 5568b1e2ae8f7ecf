//! What Raft itself promises, seen on the controllers' disks.

mod committed_on_quorum;
mod election_safety;
mod leader_completeness;
mod log_matching;
mod never_goes_back;

pub(super) use committed_on_quorum::CommittedOnQuorum;
pub(super) use election_safety::ElectionSafety;
pub(super) use leader_completeness::LeaderCompleteness;
pub(super) use log_matching::LogMatching;
pub(super) use never_goes_back::NeverGoesBack;

use controller::raft::Index;

use crate::seat::Seat;

/// An entry as a disk holds it: its term, and what it says.
type Held = (u64, Vec<u8>);

/// The entry that a disk holds at this index, unless it is compacted or not there.
fn entry(seat: &Seat, index: u64) -> Option<Held> {
    let mut from = seat.disk.entries_after(Index(index.checked_sub(1)?));
    let (at, term, command) = from.next()?;
    (at.0 == index).then(|| (term.0, command.to_vec()))
}
