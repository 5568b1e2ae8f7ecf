//! `[gossip]`: the ceiling of what a controller sends by it.

use gossip::ceiling::Ceiling;

use super::problem::Page;
use super::table::Table;

const EXAMPLE: &str = "most_bytes_per_second = 20000";

/// Bytes a second on each network; none without a word about it.
pub(super) fn read(top: &mut Table<'_>, page: &mut Page<'_>) -> Option<Ceiling> {
    let mut table = top.table("gossip", "[gossip]", page)?;
    let most = table.number("most_bytes_per_second", EXAMPLE, 1..=u64::from(u32::MAX), page);
    table.finish(page);
    let most = most?;
    match Ceiling::new(u32::try_from(most.value).unwrap_or(u32::MAX)) {
        Ok(ceiling) => Some(ceiling),
        Err(error) => {
            let help = "enlarge it, or remove [gossip]: without it there is no ceiling";
            page.error(&most.span, error.to_string(), "", help);
            None
        }
    }
}
