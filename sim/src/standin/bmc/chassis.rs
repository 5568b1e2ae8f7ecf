//! The machine that a BMC switches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Power of a node, as its BMC sees and sets it.
pub trait Chassis {
    /// True if the node is powered, in truth.
    fn power(&self) -> bool;
    /// Switches the power at once.
    fn set_power(&mut self, on: bool);
}

/// A power switch that others can look at and turn; clones are the same switch.
#[derive(Clone, Debug)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// A switch in this position.
    pub fn new(on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(on)))
    }
}

impl Chassis for Switch {
    fn power(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn set_power(&mut self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }
}
