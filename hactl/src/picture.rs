//! The picture of the cluster that a controller gave.

use api::State;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::reading::harmless;

/// The picture, as it came and as types. A newer controller may say more than our types know; programs that read
/// `--json` get that too.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// The answer, byte for byte.
    pub(crate) raw: String,
    /// The answer as JSON.
    pub(crate) value: Value,
    /// The answer for people: without anything that drives a terminal.
    pub(crate) state: State,
}

impl Picture {
    pub(crate) fn read(raw: String) -> Result<Self, serde_json::Error> {
        let value: Value = serde_json::from_str(&raw)?;
        let state = safe(value.clone())?;
        Ok(Self { raw, value, state })
    }

    pub(crate) fn of_state(state: &State) -> Result<Self, serde_json::Error> {
        Self::read(serde_json::to_string(state)?)
    }

    /// All of it.
    pub(crate) fn whole(&self) -> &Value {
        &self.value
    }

    /// The list of that name, only with the elements for which `keep` holds.
    pub(crate) fn list(&self, name: &str, keep: impl Fn(&Value) -> bool) -> Value {
        let list = self.value.get(name).and_then(Value::as_array);
        Value::Array(list.into_iter().flatten().filter(|item| keep(item)).cloned().collect())
    }

    /// The one element of a list.
    pub(crate) fn one(&self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let list = self.value.get(name).and_then(Value::as_array);
        list.into_iter().flatten().find(|item| is(item)).cloned().unwrap_or(Value::Null)
    }
}

/// A value of the API whose texts are harmless on a terminal.
pub(crate) fn safe<T: DeserializeOwned>(mut value: Value) -> Result<T, serde_json::Error> {
    clean(&mut value, false);
    serde_json::from_value(value)
}

// serde_json refuses to parse deeper than 128 levels, so this ends.
fn clean(value: &mut Value, lines: bool) {
    match value {
        Value::String(text) => *text = harmless(text, lines),
        Value::Array(list) => list.iter_mut().for_each(|item| clean(item, lines)),
        // Only the matrix' text has lines.
        Value::Object(map) => map.iter_mut().for_each(|(key, item)| clean(item, key == "text")),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// JSON for programs, with a newline at its end.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    match serde_json::to_string_pretty(value) {
        Ok(text) => text + "\n",
        // Maps with other keys than strings do not exist in the API.
        Err(error) => unreachable!("the API's types are JSON: {error}"),
    }
}
