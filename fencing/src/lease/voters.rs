//! How many vouches keep a node alive, and how many promises allow E2.

use mutants::{Mutant, is_on};

/// Vouches that keep a node alive, of `others` voters that are not the node itself: half, rounded up.
pub fn vouches_needed(others: usize) -> usize {
    others.div_ceil(2)
}

/// Promises that E2 needs of `others` voters. Any set of this size meets any set of [`vouches_needed`], since
/// `v + q > others`; with no other voter there is no E2 at all, which the caller must see to.
pub fn promises_needed(others: usize) -> usize {
    let promises = others + 1 - vouches_needed(others);
    if is_on(Mutant::M53) && promises > 1 { promises - 1 } else { promises }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_vouching_set_meets_any_promising_set() {
        for others in 1..=200 {
            assert!(vouches_needed(others) + promises_needed(others) > others, "{others}");
        }
    }

    #[test]
    fn the_specification_examples_hold() {
        let both = |n: usize| (vouches_needed(n - 1), promises_needed(n - 1));
        assert_eq!(both(5), (2, 3));
        assert_eq!(both(6), (3, 3));
        assert_eq!(both(2), (1, 1));
        assert_eq!((vouches_needed(30), promises_needed(30)), (15, 16));
        assert_eq!((vouches_needed(31), promises_needed(31)), (16, 16));
        assert_eq!(vouches_needed(0), 0);
    }
}
