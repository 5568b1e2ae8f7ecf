//! How many bytes, as a configuration says it.

/// Less is not enough for a beginning; 0 is none at all.
const LEAST: u64 = 32 << 10;

/// A number of bytes with its unit, for all records together.
///
/// # Errors
/// What is wrong with it.
pub fn size(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "must be a number with KiB, MiB or GiB, at least 32KiB, or 0";
    if text == "0" {
        return Ok(0);
    }
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.trim_end(), *shift)))
        .ok_or(WRONG)?;
    let number: u64 = number.parse().map_err(|_| WRONG)?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes >= LEAST).ok_or(WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(size("256MiB"), Ok(256 << 20));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        assert_eq!(size("0"), Ok(0));
        for wrong in ["", "256", "256MB", "-1MiB", "31KiB", "0MiB", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
