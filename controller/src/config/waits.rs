//! `[lease]` and `[waits]`: times, with the bounds below which they would be wrong.

use std::time::Duration;

use fencing::lease::{LeaseTimes, Profile};

use super::problem::Page;
use super::table::{Table, time};
use crate::core::Waits;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Longest of all: whoever writes more has mistaken the unit.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// The profile's times, or those of `[lease]`.
pub(super) fn times(top: &mut Table<'_>, page: &mut Page<'_>) -> Option<LeaseTimes> {
    let profile = top.read_if("profile", "profile = \"balanced\"", page, |text| {
        [Profile::Balanced, Profile::Fast, Profile::Calm]
            .into_iter()
            .find(|profile| profile.to_string() == text)
            .ok_or("there are balanced, fast and calm")
    });
    let Some(mut lease) = top.table("lease", "[lease]", page) else {
        return Some(profile.map_or_else(Profile::default, |profile| profile.value).times());
    };
    if let Some(profile) = profile {
        let message = "give a profile or [lease], not both";
        page.twice(&lease.span(), &profile.span, message, "remove one of them");
    }
    let mut read = |key: &'static str, example: &str| {
        let example = format!("{key} = \"{example}\"");
        lease.read(key, &example, page, time).map(|at| at.value)
    };
    let renew_every = read("renew_every", "1s");
    let length = read("lease", "60s");
    let vouch = read("vouch", "30s");
    let watchdog = read("watchdog", "20s");
    let quiet = read("quiet", "10s");
    let margin = read("margin", "5s");
    let span = lease.span();
    lease.finish(page);
    let times = LeaseTimes {
        renew_every: renew_every?,
        lease: length?,
        vouch: vouch?,
        watchdog: watchdog?,
        quiet: quiet?,
        margin: margin?,
    };
    let far = [times.lease, times.vouch, times.watchdog, times.quiet, times.margin];
    if far.into_iter().any(|time| time > LONGEST) {
        page.error(&span, "a lease time is longer than 30 days", "", "check the units");
        return None;
    }
    if let Err(error) = times.check() {
        page.error(
            &span,
            error.to_string(),
            "",
            "enlarge the left sides, or use a profile; nodes need the same",
        );
        return None;
    }
    Some(times)
}

/// S goes with the profile: who accepts a short lease accepts a short verdict, and the pause that both tolerate.
fn hold(times: Option<&LeaseTimes>) -> Duration {
    match times {
        Some(times) if *times == Profile::Fast.times() => SECOND / 2,
        Some(times) if *times == Profile::Calm.times() => 3 * SECOND,
        Some(_) | None => Waits::default().hold,
    }
}

/// `[waits]`: the defaults, and what differs.
pub(super) fn waits(
    top: &mut Table<'_>,
    times: Option<&LeaseTimes>,
    lab: bool,
    page: &mut Page<'_>,
) -> Waits {
    let mut waits = Waits { hold: hold(times), ..Waits::default() };
    let Some(mut table) = top.table("waits", "[waits]", page) else { return waits };
    let unknown_at = {
        let mut set = |key: &'static str, wait: &mut Duration, least: Duration, most: Duration| {
            let example = format!("{key} = \"{}\"", humantime::format_duration(*wait));
            let read = table.read_if(key, &example, page, time)?;
            // A lab may shorten what only patience asks for.
            let least = if lab { Duration::ZERO } else { least };
            if read.value < least || read.value > most {
                let message = format!(
                    "`{key}` is {}, and must be from {} to {}",
                    humantime::format_duration(read.value),
                    humantime::format_duration(least),
                    humantime::format_duration(most)
                );
                let remedy = format!("leave it out for {}", humantime::format_duration(*wait));
                page.error(&read.span, message, "", remedy);
                return None;
            }
            *wait = read.value;
            Some(read.span)
        };
        set("hold", &mut waits.hold, SECOND / 2, MINUTE);
        set("grace", &mut waits.grace, MINUTE, LONGEST);
        set("new_leader", &mut waits.new_leader, 10 * SECOND, LONGEST);
        set("effect", &mut waits.effect, 5 * SECOND, 2 * MINUTE);
        set("healthy", &mut waits.healthy, 5 * SECOND, LONGEST);
        set("left_alone", &mut waits.left_alone, MINUTE, LONGEST);
        set("quarantine_within", &mut waits.quarantine_within, 60 * MINUTE, LONGEST);
        set("storm_over", &mut waits.storm_over, 30 * SECOND, LONGEST);
        set("bmc_check", &mut waits.bmc_check, MINUTE, LONGEST);
        set("unknown", &mut waits.unknown, 2 * MINUTE, LONGEST)
    };
    if waits.unknown < waits.effect {
        let (unknown, effect) = (waits.unknown, waits.effect);
        let message = format!(
            "`unknown` = {} is shorter than `effect` = {}: an attempt would be judged while it may still leave",
            humantime::format_duration(unknown),
            humantime::format_duration(effect)
        );
        let span = unknown_at.unwrap_or_else(|| table.span());
        page.error(
            &span,
            message,
            "",
            "enlarge `unknown`: to `effect` and the longest timeout of your proxies and RPC",
        );
    }
    table.finish(page);
    waits
}
