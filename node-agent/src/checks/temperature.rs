//! The node's own sensors, as the kernel shows them: `hwmonN/tempN_input` in thousandths of a degree, `fanN_input` in turns
//! a minute. Reading one may take a while where a chip is slow, so it is done aside.

use std::fs;
use std::path::Path;

use fencing::checks::State;

use super::plan::Outcome;

/// Sensors that are read; a machine has dozens.
const MOST_SENSORS: usize = 512;

/// The hottest sensor.
pub(super) fn temperature(directory: &Path, warning: i32, critical: i32) -> Outcome {
    let sensors = sensors(directory, "temp", "_input");
    let hottest = sensors.iter().filter_map(|(name, path)| Some((number(path)?, name))).max();
    let Some((thousandths, name)) = hottest else {
        return Outcome::unknown(&format!("no temperature below {}", directory.display()));
    };
    let degrees = i32::try_from(thousandths / 1000).unwrap_or(i32::MAX);
    let state = if degrees >= critical {
        State::Critical
    } else if degrees >= warning {
        State::Warning
    } else {
        State::Ok
    };
    Outcome::new(state, degrees, &format!("{name} has {degrees} C"))
}

/// Fans that are slower than they may be, or that the chip complains of.
pub(super) fn fans(directory: &Path) -> Outcome {
    let fans = sensors(directory, "fan", "_input");
    if fans.is_empty() {
        return Outcome::unknown(&format!("no fan below {}", directory.display()));
    }
    let beside = |path: &Path, what: &str| {
        let path = path.to_string_lossy();
        let stem = path.strip_suffix("_input")?;
        number(Path::new(&format!("{stem}{what}")))
    };
    let slow = fans.iter().filter_map(|(name, path)| {
        let turns = number(path)?;
        let least = beside(path, "_min").unwrap_or(0);
        let alarm = beside(path, "_alarm").unwrap_or(0) != 0;
        (alarm || turns < least).then(|| format!("{name} turns {turns} times a minute"))
    });
    let slow: Vec<String> = slow.collect();
    if slow.is_empty() {
        return Outcome::ok(&format!("{} fans turn", fans.len()));
    }
    Outcome::critical(i32::try_from(slow.len()).unwrap_or(i32::MAX), &slow.join(", "))
}

/// Files such as `hwmon2/temp1_input`, by a name for people.
fn sensors(directory: &Path, begin: &str, end: &str) -> Vec<(String, std::path::PathBuf)> {
    let mut found = Vec::new();
    let chips = fs::read_dir(directory).into_iter().flatten().flatten();
    for chip in chips.map(|chip| chip.path()) {
        let name = fs::read_to_string(chip.join("name")).unwrap_or_default();
        let files = fs::read_dir(&chip).into_iter().flatten().flatten();
        for path in files.map(|file| file.path()) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(rest) = file.strip_prefix(begin) else { continue };
            let Some(number) = rest.strip_suffix(end) else { continue };
            if number.bytes().all(|byte| byte.is_ascii_digit()) && found.len() < MOST_SENSORS {
                found.push((format!("{} {begin}{number}", name.trim()), path));
            }
        }
    }
    found.sort();
    found
}

fn number(path: &Path) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
