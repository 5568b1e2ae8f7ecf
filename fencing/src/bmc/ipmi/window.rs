//! Which session sequence numbers are new.

/// Sliding window over the sequence numbers of one direction of a session (IPMI 2.0, 6.12.13).
///
/// A number is accepted once; those more than 31 behind the highest are refused. Unlike the
/// specification it takes any step forward: the packet is authenticated before the window sees it,
/// and behind a network that lost 16 packets in a row the strict window would never open again.
#[derive(Clone, Debug, Default)]
pub struct Window {
    highest: u32,
    /// Bit n: `highest - n` was seen.
    seen: u32,
}

impl Window {
    /// True if `sequence` was not seen before. Call it for authenticated packets only.
    pub fn accept(&mut self, sequence: u32) -> bool {
        if sequence == 0 {
            return false; // reserved for packets outside a session
        }
        if self.seen == 0 {
            (self.highest, self.seen) = (sequence, 1);
            return true;
        }
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead != 0 && ahead < 1 << 31 {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = sequence;
            return true;
        }
        let bit = 1u32.checked_shl(self.highest.wrapping_sub(sequence)).unwrap_or(0);
        let new = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_only_once() {
        let mut window = Window::default();
        let asked = [0, 5, 5, 7, 6, 6, 40, 8, 9, 39, 40, u32::MAX, 0];
        let new = asked.map(|sequence| window.accept(sequence));
        assert_eq!(
            new,
            [false, true, false, true, true, false, true, false, true, true, false, false, false]
        );
    }

    #[test]
    fn it_slides_over_the_end_of_the_numbers() {
        let mut window = Window::default();
        assert!(window.accept(u32::MAX - 1));
        assert!(window.accept(u32::MAX));
        assert!(window.accept(2));
        assert!(!window.accept(u32::MAX));
    }
}
