//! How much a watchdog's promise is worth.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of device it is, by the name that its driver gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A timer in the chipset: it resets a machine whose kernel is wedged.
    Hardware,
    /// The BMC's timer. Counts, but where E1 uses the same BMC both fail together: warn.
    Ipmi,
    /// A timer that needs a living kernel (softdog), or a virtual machine's.
    Weak,
    /// A lab's FIFO or socket.
    StandIn,
}

/// Drivers whose device is no hardware of its own. The i6300ESB left real boards about 2008: where it is seen today, a
/// virtual machine monitor made it.
const WEAK: [&str; 5] = ["Software Watchdog", "i6300ESB", "Xen", "VMware", "KVM"];

impl Class {
    /// The class of a real device, by its identity string. An unknown name is taken for a chipset's.
    pub fn of_identity(identity: &str) -> Self {
        if WEAK.iter().any(|name| identity.starts_with(name)) {
            Class::Weak
        } else if identity.starts_with("IPMI") {
            Class::Ipmi
        } else {
            Class::Hardware
        }
    }

    /// Whether E2 may rest on it. `allowed` is the operator's `allow_e2 = true`, by name, for a class that would not.
    pub fn counts_for_e2(self, allowed: bool) -> bool {
        match self {
            Class::Hardware | Class::Ipmi => true,
            Class::Weak | Class::StandIn => allowed,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Hardware => "hardware",
            Class::Ipmi => "ipmi",
            Class::Weak => "weak",
            Class::StandIn => "stand-in",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softdog_and_a_virtual_machines_timer_are_weak() {
        assert_eq!(Class::of_identity("Software Watchdog"), Class::Weak);
        assert_eq!(Class::of_identity("i6300ESB timer"), Class::Weak);
        assert_eq!(Class::of_identity("IPMI"), Class::Ipmi);
        assert_eq!(Class::of_identity("iTCO_wdt"), Class::Hardware);
    }

    #[test]
    fn a_weak_class_carries_e2_only_by_the_operators_word() {
        for class in [Class::Weak, Class::StandIn] {
            assert!(!class.counts_for_e2(false));
            assert!(class.counts_for_e2(true));
        }
        assert!(Class::Hardware.counts_for_e2(false));
        assert!(Class::Ipmi.counts_for_e2(false));
    }
}
