//! `[recovery]`: how much is moved at once, and the reserved hosts.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::problem::Page;
use super::table::{Table, time};
use crate::core::Pace;

const MINUTE: Duration = Duration::from_secs(60);
/// With a longer one a host that is slow for one VM would get no other for most of that time.
const LONGEST_GAP: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The defaults, and what differs.
pub(super) fn recovery(top: &mut Table<'_>, page: &mut Page<'_>) -> (Pace, Vec<String>) {
    let mut pace = Pace::default();
    let Some(mut table) = top.table("recovery", "[recovery]", page) else {
        return (pace, Vec::new());
    };
    let mut set = |key: &'static str, value: &mut usize, range: RangeInclusive<u64>| {
        let example = format!("{key} = {value}");
        let read = table.number_if(key, &example, range, page);
        if let Some(read) = read.and_then(|at| usize::try_from(at.value).ok()) {
            *value = read;
        }
    };
    set("in_flight", &mut pace.cloud, 1..=1000);
    set("in_flight_per_cell", &mut pace.cell, 1..=1000);
    set("in_flight_per_source", &mut pace.source, 1..=200);
    set("live_migrations_per_source", &mut pace.migrated, 1..=200);
    set("in_flight_per_destination", &mut pace.destination, 1..=50);
    set("starts_per_minute", &mut pace.per_minute, 1..=100_000);
    set("hold_after", &mut pace.hold_after, 1..=1_000_000);
    let gap = table.read_if("gap_per_destination", "gap_per_destination = \"1s\"", page, time);
    if let Some(gap) = gap {
        if gap.value <= LONGEST_GAP {
            pace.gap = gap.value;
        } else {
            let message = "`gap_per_destination` must be at most 30s";
            page.error(&gap.span, message, "", "leave it out for 1s");
        }
    }
    let within = table.read_if("hold_within", "hold_within = \"1h\"", page, time);
    if let Some(within) = within {
        if (MINUTE..=DAY).contains(&within.value) {
            pace.hold_within = within.value;
        } else {
            let message = "`hold_within` must be from 1min to 1day";
            page.error(&within.span, message, "", "leave it out for 1h");
        }
    }
    let reserved = table.list("reserved", "reserved = [\"compute-9\"]", page);
    table.finish(page);
    (pace, reserved)
}
