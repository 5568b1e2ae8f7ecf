//! The canary: a run that must fail, and the oracle that must say so.

use std::path::Path;

use crate::scenario::Scenario;

/// A client that posts twice must be noticed by `evacuate_once`, or reports of "nothing was broken" are worth nothing.
pub(super) fn is_noticed() -> Result<(), String> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios/sabotage/posts_twice.scn");
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let scenario = Scenario::parse(&text).map_err(|bad| bad.to_string())?;
    let noticed = scenario.play().err().and_then(|failed| failed.oracle);
    if noticed == Some("evacuate_once") {
        return Ok(());
    }
    Err(format!("a client posts twice, and evacuate_once fails to notice: {noticed:?}"))
}
