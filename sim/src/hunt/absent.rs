//! Breaks of rules that the code does not have yet, and breaks that another rule makes harmless.

use mutants::Mutant;

/// Why there is nothing to break.
pub(super) fn why(mutant: Mutant) -> Option<&'static str> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "few of many")]
    match mutant {
        Mutant::M12 => Some("the set of controllers never changes"),
        Mutant::M57 => Some("there are no relays: sentinels answer for themselves"),
        Mutant::M67 => Some("every armed node is a voter; there is no electorate"),
        _ => None,
    }
}

/// Why a break that is in the code can do no harm: nothing that is hunted will ever show it.
pub(super) fn harmless(mutant: Mutant) -> Option<&'static str> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "few of many")]
    match mutant {
        Mutant::M59 => Some(
            "n never falls within a boot, so a later report leaves out only versions that are over",
        ),
        Mutant::M66 => {
            Some("versions in which the node is not armed never count: none lies between the two")
        }
        _ => None,
    }
}
