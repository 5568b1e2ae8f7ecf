//! Breaks of rules that the code does not have yet.

use mutants::Mutant;

/// Why there is nothing to break.
pub(super) fn why(mutant: Mutant) -> Option<&'static str> {
    #[allow(clippy::wildcard_enum_match_arm, reason = "few of many")]
    match mutant {
        Mutant::M12 => Some("the set of controllers never changes"),
        Mutant::M67 => Some("every node is a voter; there is no electorate"),
        _ => None,
    }
}
