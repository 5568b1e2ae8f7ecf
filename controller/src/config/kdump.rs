//! `[kdump]`: whether a power-off waits for the crash dump of a node, whose crash kernel tells of it by `fence_kdump_send`.

use std::net::SocketAddr;
use std::time::Duration;

use super::problem::Page;
use super::table::{Table, time};
use crate::core::Waits;

/// A crash kernel boots in less.
const BEGINS: Duration = Duration::from_secs(30);
const ENDS: Duration = Duration::from_secs(10 * 60);
/// VMs whose evidence is their node's BMC alone wait as long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Where packets are listened for; `None` where nobody waits for a dump.
pub(super) fn read(
    top: &mut Table<'_>,
    waits: &mut Waits,
    page: &mut Page<'_>,
) -> Option<SocketAddr> {
    let mut table = top.table("kdump", "[kdump]", page)?;
    let listen = table.read("listen", "listen = \"0.0.0.0:7410\"", page, str::parse::<SocketAddr>);
    (waits.dump_begins, waits.dump_ends) = (BEGINS, ENDS);
    let mut set = |key: &'static str, wait: &mut Duration| {
        let example = format!("{key} = \"{}\"", humantime::format_duration(*wait));
        let Some(read) = table.read_if(key, &example, page, time) else { return };
        if read.value > LONGEST {
            let message = format!(
                "`{key}` is {}: no VM of a crashed node without a lease would start before that is over",
                humantime::format_duration(read.value)
            );
            let remedy = format!("at most {}", humantime::format_duration(LONGEST));
            page.error(&read.span, message, "", remedy);
        }
        *wait = read.value;
    };
    set("begins_within", &mut waits.dump_begins);
    set("ends_within", &mut waits.dump_ends);
    table.finish(page);
    listen.map(|listen| listen.value)
}
