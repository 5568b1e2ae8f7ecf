//! `[record]`: how much of what went into the core is kept.

use super::problem::Page;
use super::table::Table;

/// Without a word about it.
const DEFAULT: u64 = 256 << 20;

/// Bytes that all records may have.
pub(super) fn most(top: &mut Table<'_>, page: &mut Page<'_>) -> u64 {
    let Some(mut table) = top.table("record", "record = { max = \"256MiB\" }", page) else {
        return DEFAULT;
    };
    let most = table.read("max", "max = \"256MiB\", or \"0\" for no record", page, ::record::size);
    table.finish(page);
    most.map_or(DEFAULT, |most| most.value)
}
