//! `[actual]`: what is done where VMs do not run as Nova says.

use std::time::Duration;

use super::problem::Page;
use super::table::{Table, time};
use crate::core::{Actual, Missing, Stray};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The defaults, and what differs.
pub(super) fn read(top: &mut Table<'_>, lab: bool, page: &mut Page<'_>) -> Actual {
    let mut actual = Actual::default();
    let Some(mut table) = top.table("actual", "[actual]", page) else { return actual };
    actual.compare = table.flag("compare", actual.compare, page);
    let missing = table.read_if("missing", "missing = \"report\"", page, |text| match text {
        "report" => Ok(Missing::Report),
        "reboot" => Ok(Missing::Reboot),
        _ => Err("there are report and reboot"),
    });
    if let Some(missing) = missing {
        actual.missing = missing.value;
    }
    let stray = table.read_if("stray", "stray = \"report\"", page, |text| match text {
        "report" => Ok(Stray::Report),
        "destroy" => Ok(Stray::Destroy),
        _ => Err("there are report and destroy"),
    });
    if let Some(stray) = stray {
        actual.stray = stray.value;
    }
    let give_up = table.number_if("give_up", "give_up = 4", 1..=10, page);
    if let Some(give_up) = give_up.and_then(|at| u32::try_from(at.value).ok()) {
        actual.give_up = give_up;
    }
    let mut set = |key: &'static str, wait: &mut Duration, (least, most): (Duration, Duration)| {
        let usual = humantime::format_duration(*wait).to_string();
        let Some(read) = table.read_if(key, &format!("{key} = \"{usual}\""), page, time) else {
            return;
        };
        // A lab may shorten what only patience asks for.
        let least = if lab { SECOND } else { least };
        if (least..=most).contains(&read.value) {
            *wait = read.value;
            return;
        }
        let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
        let message = format!("`{key}` must be from {least} to {most}");
        page.error(&read.span, message, "", format!("leave it out for {usual}"));
    };
    set("holds", &mut actual.holds, (30 * SECOND, HOUR));
    set("within", &mut actual.within, (10 * MINUTE, 24 * HOUR));
    set("keep", &mut actual.keep, (HOUR, 30 * 24 * HOUR));
    table.finish(page);
    actual
}
