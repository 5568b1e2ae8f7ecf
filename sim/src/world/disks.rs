//! Controllers' disks, as `controller::raft::store` meets them: what was promised is kept, what cannot be kept ends the
//! process before anybody is told, and what was damaged meanwhile is refused at the next start.

use controller::raft::Write;
use mutants::{Mutant, is_on};

use super::World;
use crate::fact::Fact;
use crate::fault::Sabotage;
use crate::place::Place;
use crate::seat::DiskFault;

impl World {
    /// A controller writes. Where that fails its process ends: it may have given its word for what its disk does not hold
    /// (S21).
    pub(super) fn persist(&mut self, number: u8, write: &Write) {
        if self.sabotage.contains(&Sabotage::ForgetfulDisks) {
            return;
        }
        let Some(seat) = self.seat_mut(number) else { return };
        if is_on(Mutant::M69) && write.has_snapshot() {
            seat.image = Some(seat.disk.clone());
        }
        let ends = match seat.disk_fault {
            None | Some(DiskFault::Damaged) => None,
            Some(DiskFault::Full) => Some("ends: no space left to write its log"),
            Some(DiskFault::Once) => Some("ends: its disk has failed"),
            Some(DiskFault::Torn) => Some("loses power in the middle of a write"),
            Some(DiskFault::Unsynced) => Some("loses power before a write is synced"),
        };
        if let Some(ends) = ends {
            if seat.disk_fault != Some(DiskFault::Full) {
                seat.disk_fault = None;
            }
            let starts = seat.starts;
            self.facts.push(Fact::WriteFailed { controller: number, starts });
            if is_on(Mutant::M37) {
                return;
            }
            self.tell("raft", &format!("{} {ends}", Place::Controller(number)));
            self.stop_controller(number);
        } else if let Err(gap) = seat.disk.absorb(write) {
            let why = format!("its own write does not fit its disk: {gap}");
            self.facts.push(Fact::Halted { controller: number, why });
        }
    }

    /// Whether a controller can read its disk; one that cannot does not start, now or later.
    pub(super) fn can_read_disk(&mut self, number: u8) -> bool {
        let Some(seat) = self.seat_mut(number) else { return false };
        if let Some(old) = seat.image.clone().filter(|_| is_on(Mutant::M69)) {
            seat.disk = old;
        }
        if seat.disk_fault != Some(DiskFault::Damaged) {
            return true;
        }
        let why = "its log is damaged: it must be rebuilt as a new member";
        seat.halted = Some(why.to_owned());
        self.tell("raft", &format!("{} does not start: {why}", Place::Controller(number)));
        false
    }

    /// Copies a controller's disk, or puts the copy in its place. Only a process that does not run gets another disk.
    pub fn image_disk(&mut self, number: u8, restore: bool) {
        let Some(seat) = self.seat_mut(number) else { return };
        if !restore {
            seat.image = Some(seat.disk.clone());
        } else if let Some(image) = seat.image.clone().filter(|_| seat.core.is_none()) {
            seat.disk = image;
            seat.images += 1;
        }
    }
}
