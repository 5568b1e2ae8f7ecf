//! What a row tells the controller to do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step that a row asks for. The order of the variants is that of severity, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Do nothing. Stands alone in its row.
    None,
    /// Tell the operators and touch nothing.
    Notify,
    /// Keep new VMs away from the node; those on it stay.
    Disable,
    /// Move the VMs away live. The node has to work for that, so never beside `fence`.
    Migrate,
    /// Make sure that the node is off.
    Fence,
    /// Restart its VMs elsewhere, once the node is known to be off. Only after `fence`.
    Evacuate,
}

impl Action {
    /// Every action, mildest first.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Notify, Self::Disable, Self::Migrate, Self::Fence, Self::Evacuate];

    /// The word in the file, the log and the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Notify => "notify",
            Self::Disable => "disable",
            Self::Migrate => "migrate",
            Self::Fence => "fence",
            Self::Evacuate => "evacuate",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// `fence, evacuate`: a row's actions in its order.
pub(crate) fn join(actions: &[Action]) -> String {
    actions.iter().map(|action| action.word()).collect::<Vec<_>>().join(", ")
}
