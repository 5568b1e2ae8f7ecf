//! `hactl internal controller`: the real controller.

use std::path::Path;

use controller::config::Config;

/// Runs it until it ends.
///
/// # Errors
/// What it ended of.
pub(super) fn run(config: &Path) -> anyhow::Result<()> {
    Ok(controller::shell::run(Config::load(config)?)?)
}
