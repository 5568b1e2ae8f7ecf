//! What on a node would start guests by itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What on a node would start guests by itself when it boots: a set, for a renewal has little room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hazards(u8);

impl Hazards {
    /// `resume_guests_state_on_host_boot` is on in Nova's configuration.
    pub const NOVA_RESUMES: Self = Self(1);
    /// libvirt-guests is enabled, and starts guests on boot.
    pub const LIBVIRT_GUESTS: Self = Self(2);
    /// libvirt is told to start domains itself.
    pub const AUTOSTART: Self = Self(4);
    /// A file that would say so cannot be read.
    pub const UNREADABLE: Self = Self(8);

    /// These and those.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing was found.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Hazards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            (
                Self::NOVA_RESUMES,
                "nova-compute resumes VMs (resume_guests_state_on_host_boot = false)",
            ),
            (Self::LIBVIRT_GUESTS, "libvirt-guests starts VMs (ON_BOOT=ignore)"),
            (Self::AUTOSTART, "libvirt starts domains itself (virsh autostart --disable)"),
            (
                Self::UNREADABLE,
                "ha-sentinel cannot read Nova's or libvirt's configuration ([preflight])",
            ),
        ];
        let mut found = known.iter().filter(|(one, _)| self.0 & one.0 != 0).map(|(_, text)| *text);
        if let Some(first) = found.next() {
            f.write_str(first)?;
        }
        found.try_for_each(|text| write!(f, "; {text}"))
    }
}
