//! Times, counts and names as people read them.

use std::time::{Duration, UNIX_EPOCH};

/// `2026-11-21 23:15:55.042Z`: the leader's wall clock, in UTC so that two operators read the same.
pub(crate) fn moment(ms: u64) -> String {
    clock(ms, true)
}

/// The same without the fraction, for lists.
pub(crate) fn moment_s(ms: u64) -> String {
    clock(ms, false)
}

fn clock(ms: u64, fraction: bool) -> String {
    // Year 9999: what comes from the network must not make the formatter fail.
    const LAST: u64 = 253_402_300_799_000;
    let time = UNIX_EPOCH + Duration::from_millis(ms.min(LAST));
    let text = if fraction {
        humantime::format_rfc3339_millis(time).to_string()
    } else {
        humantime::format_rfc3339_seconds(time).to_string()
    };
    text.replacen('T', " ", 1)
}

/// `4.2 s`, `12 min`, `3 h 05 min`, `5 d 01 h`.
pub(crate) fn span(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    // At most a few centuries, so the cast is exact enough.
    let whole = seconds.min(1e10) as u64;
    match whole {
        0..120 => format!("{seconds:.1} s"),
        120..7_200 => format!("{} min", whole / 60),
        7_200..172_800 => format!("{} h {:02} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole / 3_600 % 24),
    }
}

/// `up`, `suspect`, `down`, `unknown`; or `degraded 70 %` where it answers and many pings get lost; and `flaps` behind it
/// where it is judged down again and again.
pub(crate) fn reach(network: &api::NetworkReach) -> String {
    let now = reach_now(network);
    if network.flapping.is_some() { format!("{now}, flaps") } else { now }
}

fn reach_now(network: &api::NetworkReach) -> String {
    let answers = matches!(network.reach.as_str(), "up" | "suspect");
    match network.degraded.as_ref().filter(|_| answers) {
        Some(lost) => format!("degraded {} %", lost.unanswered * 100 / lost.of.max(1)),
        None => network.reach.clone(),
    }
}

/// Seconds for which [`reach`] has said what it says.
pub(crate) fn since(network: &api::NetworkReach) -> f64 {
    let answers = matches!(network.reach.as_str(), "up" | "suspect");
    network.degraded.as_ref().filter(|_| answers).map_or(network.for_s, |lost| lost.for_s)
}

/// `1 node`, `2 nodes`.
pub(crate) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("{number} {word}") } else { format!("{number} {word}s") }
}

/// `a, b, c and 4 more`.
pub(crate) fn few(names: &[&str], most: usize) -> String {
    if names.len() <= most {
        return names.join(", ");
    }
    format!("{} and {} more", names[..most].join(", "), names.len() - most)
}

/// The text with a full stop at its end, for sentences that others wrote.
pub(crate) fn stop(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}

/// Text from elsewhere (a VM's name is chosen by a tenant) that cannot drive the terminal: control characters and those
/// that turn the direction of writing become `?`.
pub(crate) fn harmless(text: &str, lines: bool) -> String {
    let bad = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        (c.is_control() && !(lines && (c == '\n' || c == '\t'))) || turns
    };
    text.chars().map(|c| if bad(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_never_panic() {
        let spans = [0.04, 119.0, 120.0, 7_199.0, 7_260.0, 180_000.0, f64::NAN, -1.0, 1e300];
        let shown = spans.map(span).join(", ");
        assert_eq!(
            shown,
            "0.0 s, 119.0 s, 2 min, 119 min, 2 h 01 min, 2 d 02 h, 0.0 s, 0.0 s, 115740 d 17 h"
        );
    }

    #[test]
    fn a_moment_that_no_calendar_has_does_not_panic() {
        assert_eq!(moment(u64::MAX), "9999-12-31 23:59:59.000Z");
        assert_eq!(moment_s(1_795_303_501_042), "2026-11-21 23:25:01Z");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(harmless("db\x1b[2J\u{9b}1\n\u{202e}x", false), "db?[2J?1??x");
        assert_eq!(harmless("a\n\tb\r", true), "a\n\tb?");
    }
}
