//! Controllers whose records are long: their shells let a new core begin, when the core says that nothing is lost by it.

use controller::core::{Controller, Turn};
use controller::event::Event;

use super::World;
use crate::place::Place;

impl World {
    /// What the shell of a controller does after each event, where its record is long.
    pub(super) fn follow_record(&mut self, number: u8) {
        let now = self.now;
        let Some(seat) = self.seat_mut(number).filter(|seat| seat.runs()) else { return };
        let reading = seat.clock.read(now);
        let (Some(core), Some(lives)) = (&mut seat.core, &mut seat.lives) else { return };
        match lives.turn(reading, core, false) {
            Turn::GoOn => {}
            Turn::GiveRoleAway => {
                let mut out = Vec::new();
                core.give_role_away(reading, &mut out);
                self.carry_out(number, out.into());
            }
            Turn::BeginAnew => self.begin_anew(number),
        }
    }

    /// Another core in the same process, from what its disk holds.
    fn begin_anew(&mut self, number: u8) {
        let now = self.now;
        let settings = self.controller_settings(number);
        let inventory = self.inventory();
        self.tell("record", &format!("{} begins anew", Place::Controller(number)));
        let Some(seat) = self.seat_mut(number) else { return };
        let reading = seat.clock.read(now);
        seat.starts += 1;
        let Some(lives) = &mut seat.lives else { return };
        let settings = lives.begins(reading, settings(seat.starts));
        let mut out = Vec::new();
        seat.core = Some(Controller::new(reading, settings, seat.disk.clone(), &mut out));
        (seat.wakes_at, seat.told) = (None, 0);
        self.carry_out(number, out.into());
        self.tell_controller(number, Event::Inventory { nodes: inventory });
    }
}
