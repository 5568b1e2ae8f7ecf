//! The few properties of Redfish resources that are read, and which of their values are believed.
//! Everything here came from the network.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{RedfishFailure, Stage};
use crate::bmc::{Identity, Power};

/// The only reset type that is ever sent (DSP0268, Resource.ResetType).
pub(super) const FORCE_OFF: &str = "ForceOff";
/// Longest path that is followed.
const LONGEST_PATH: usize = 512;
/// Longest text of others that is shown.
const SHOWN: usize = 120;
/// UUIDs that vendors ship by the thousand: who has one of these has none.
const SHARED: [[u8; 16]; 2] = [
    [3, 0, 2, 0, 4, 0, 5, 0, 6, 0, 0, 7, 0, 8, 0, 9],
    [0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9],
];
/// Serial numbers that nobody filled in.
const UNFILLED: [&str; 8] = [
    "none",
    "null",
    "n/a",
    "unknown",
    "default string",
    "to be filled by o.e.m.",
    "system serial number",
    "0123456789",
];

#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(rename = "@odata.id")]
    pub(super) id: String,
}

#[derive(Deserialize)]
pub(super) struct Root {
    #[serde(rename = "Systems")]
    pub(super) systems: Option<Link>,
    #[serde(rename = "Links")]
    pub(super) links: Option<RootLinks>,
}

#[derive(Deserialize)]
pub(super) struct RootLinks {
    #[serde(rename = "Sessions")]
    pub(super) sessions: Option<Link>,
}

#[derive(Deserialize)]
pub(super) struct Systems {
    #[serde(rename = "Members")]
    pub(super) members: Vec<Link>,
}

/// A session as it was made; only needed where there is no Location.
#[derive(Deserialize)]
pub(super) struct Made {
    #[serde(rename = "@odata.id")]
    pub(super) id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct System {
    #[serde(rename = "@odata.id")]
    id: Option<String>,
    #[serde(rename = "UUID")]
    uuid: Option<String>,
    #[serde(rename = "SerialNumber")]
    serial: Option<String>,
    #[serde(rename = "PowerState")]
    power: Option<String>,
    #[serde(rename = "Actions")]
    actions: Option<Actions>,
}

#[derive(Deserialize)]
struct Actions {
    #[serde(rename = "#ComputerSystem.Reset")]
    reset: Option<Reset>,
}

#[derive(Deserialize)]
struct Reset {
    target: Option<String>,
    #[serde(rename = "ResetType@Redfish.AllowableValues")]
    allowable: Option<Vec<String>>,
    #[serde(rename = "@Redfish.ActionInfo")]
    info: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ActionInfo {
    #[serde(rename = "Parameters", default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "AllowableValues")]
    allowable: Option<Vec<String>>,
}

/// Where a hard off can be sent, or what must be known before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HardOff {
    /// To this path; ForceOff is offered.
    At(String),
    /// To this path, if the action info at the second one offers ForceOff.
    Ask { target: String, info: String },
}

impl System {
    /// Who it is: its UUID, or, where it has none of its own, its serial number.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.uuid().or_else(|| {
            let digest = Sha256::new()
                .chain_update(b"holdfast redfish serial v1\0")
                .chain_update(self.serial()?.as_bytes())
                .finalize();
            Identity::from_bytes(&digest)
        })
    }

    /// Its UUID, if that says anything.
    pub(super) fn uuid(&self) -> Option<Identity> {
        let uuid = uuid::Uuid::try_parse(self.uuid.as_deref()?.trim()).ok()?;
        Identity::from_bytes(uuid.as_bytes()).filter(|identity| !SHARED.contains(&identity.0))
    }

    /// Its serial number, if that says anything.
    pub(super) fn serial(&self) -> Option<&str> {
        let serial = self.serial.as_deref()?.trim();
        let says_nothing = serial.is_empty() || UNFILLED.contains(&&*serial.to_ascii_lowercase());
        (!says_nothing).then_some(serial)
    }

    /// Its word about the power. Only exactly `Off` is off.
    pub(super) fn power(&self) -> Power {
        match self.power.as_deref() {
            Some("Off") => Power::Off,
            Some("On") => Power::On,
            Some(other) => Power::Other(clip(other)),
            None => Power::Other(String::new()),
        }
    }

    /// Whether it is the resource that was asked for.
    pub(super) fn is_at(&self, asked: &str) -> bool {
        self.id.as_deref().is_none_or(|id| same(id, asked))
    }

    /// Where the hard off of the system at `asked` goes.
    pub(super) fn hard_off(&self, asked: &str) -> Result<HardOff, RedfishFailure> {
        let reset = self.actions.as_ref().and_then(|actions| actions.reset.as_ref());
        let Some(reset) = reset else { return Err(RedfishFailure::NoForceOff) };
        let said = reset.target.as_deref().unwrap_or_default();
        // An action lies below its own resource (DSP0266). One that does not would act on another machine.
        let below = format!("{}/", asked.trim_end_matches('/'));
        let target = path(said)
            .filter(|target| target.starts_with(&below))
            .ok_or_else(|| RedfishFailure::ForeignTarget(clip(said)))?;
        match (&reset.allowable, &reset.info) {
            (Some(allowable), _) if offers(allowable) => Ok(HardOff::At(target)),
            (None, Some(info)) => match path(info) {
                Some(info) => Ok(HardOff::Ask { target, info }),
                None => Err(RedfishFailure::NoForceOff),
            },
            (Some(_) | None, _) => Err(RedfishFailure::NoForceOff),
        }
    }
}

impl ActionInfo {
    /// Whether the reset takes ForceOff.
    pub(super) fn offers_force_off(&self) -> bool {
        let of_type = self.parameters.iter().filter(|parameter| parameter.name == "ResetType");
        of_type.filter_map(|parameter| parameter.allowable.as_ref()).any(|values| offers(values))
    }
}

fn offers(allowable: &[String]) -> bool {
    allowable.iter().any(|value| value == FORCE_OFF)
}

/// Reads a resource. A property that comes twice is nonsense, for one of the two would be believed.
pub(super) fn parse<T: DeserializeOwned>(stage: Stage, body: &[u8]) -> Result<T, RedfishFailure> {
    serde_json::from_slice(body).map_err(|error| {
        let why = clip(&error.to_string()).into();
        RedfishFailure::Nonsense { stage, why }
    })
}

/// A path on the same BMC, unchanged; `None` for anything that a URL parser might read otherwise.
pub(super) fn path(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~:@!$&'()*+,;=%".contains(&byte);
    let dots =
        |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let good = text.len() <= LONGEST_PATH
        && text.starts_with("/redfish/")
        && text.bytes().all(plain)
        && !text.contains("//")
        && !text.split('/').any(dots);
    good.then(|| text.to_owned())
}

/// The path of a link that may be a whole URL: the part after the authority, which is not looked at.
pub(super) fn path_of_url(text: &str) -> Option<String> {
    let rest = match text.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..))?,
        None => text,
    };
    path(rest)
}

/// Whether two paths name the same resource.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Text of others, made fit to be shown: no control characters, and not long.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "/redfish/v1/Systems/1";

    fn system(text: &str) -> System {
        parse(Stage::System, text.as_bytes()).unwrap()
    }

    fn reset(text: &str) -> Result<HardOff, RedfishFailure> {
        system(&format!(r##"{{"Actions": {{"#ComputerSystem.Reset": {text}}}}}"##)).hard_off(AT)
    }

    #[test]
    fn only_exactly_off_is_off() {
        let power = |text: &str| system(&format!(r#"{{"PowerState": {text}}}"#)).power();
        assert_eq!(power(r#""Off""#), Power::Off);
        assert_eq!(power(r#""On""#), Power::On);
        for other in ["PoweringOff", "off", "OFF", " Off", "Off ", "Unknown", "Paused", ""] {
            assert_eq!(power(&format!("{other:?}")), Power::Other(other.into()));
        }
        assert_eq!(power("null"), Power::Other(String::new()));
        assert_eq!(system("{}").power(), Power::Other(String::new()));
    }

    #[test]
    fn a_power_state_that_comes_twice_or_is_no_text_is_nonsense() {
        for text in [r#"{"PowerState":"On","PowerState":"Off"}"#, r#"{"PowerState":false}"#, "[]"] {
            let read: Result<System, _> = parse(Stage::System, text.as_bytes());
            assert!(matches!(read, Err(RedfishFailure::Nonsense { .. })), "{text}");
        }
    }

    #[test]
    fn force_off_must_be_offered_and_its_target_lie_below_the_system() {
        let target = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset";
        let allowed = r#""ResetType@Redfish.AllowableValues": ["On", "ForceOff"]"#;
        let at = HardOff::At(target.into());
        assert_eq!(reset(&format!(r#"{{"target": "{target}", {allowed}}}"#)), Ok(at));
        let soft = r#""ResetType@Redfish.AllowableValues": ["On", "GracefulShutdown"]"#;
        let soft = format!(r#"{{"target": "{target}", {soft}}}"#);
        assert_eq!(reset(&soft), Err(RedfishFailure::NoForceOff));
        assert_eq!(reset(&format!(r#"{{"target": "{target}"}}"#)), Err(RedfishFailure::NoForceOff));
        for foreign in [
            "/redfish/v1/Systems/11/Actions/ComputerSystem.Reset",
            "/redfish/v1/Systems/1/../2/Actions/ComputerSystem.Reset",
            "/redfish/v1/Systems/1/%2E%2e/2/Actions/ComputerSystem.Reset",
            "https://elsewhere/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "//elsewhere/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "",
        ] {
            let said = reset(&format!(r#"{{"target": "{foreign}", {allowed}}}"#));
            assert_eq!(said, Err(RedfishFailure::ForeignTarget(foreign.into())));
        }
    }

    #[test]
    fn action_info_is_asked_where_the_system_does_not_say() {
        let target = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset";
        let info = "/redfish/v1/Systems/1/ResetActionInfo";
        let said = reset(&format!(r#"{{"target": "{target}", "@Redfish.ActionInfo": "{info}"}}"#));
        assert_eq!(said, Ok(HardOff::Ask { target: target.into(), info: info.into() }));
        let of = |text: &str| parse::<ActionInfo>(Stage::ActionInfo, text.as_bytes()).unwrap();
        let yes = r#"{"Parameters": [{"Name": "ResetType", "AllowableValues": ["ForceOff"]}]}"#;
        let no = r#"{"Parameters": [{"Name": "Other", "AllowableValues": ["ForceOff"]}]}"#;
        assert!(of(yes).offers_force_off());
        assert!(!of(no).offers_force_off() && !of("{}").offers_force_off());
    }

    #[test]
    fn the_identity_is_the_uuid_and_without_one_the_serial_number() {
        let uuid = "27946b59-9e44-4fa7-8e91-f3527a1ef094";
        let of = |text: &str| system(text).identity();
        let with = of(&format!(r#"{{"UUID": "{uuid}", "SerialNumber": "7"}}"#));
        assert_eq!(with.map(|identity| identity.to_string()).as_deref(), Some(uuid));
        let shared = "03000200-0400-0500-0006-000700080009";
        let one = of(&format!(r#"{{"UUID": "{shared}", "SerialNumber": "7"}}"#));
        let two = of(r#"{"UUID": null, "SerialNumber": "8"}"#);
        assert!(one.is_some() && two.is_some() && one != two && one != with);
        for nobody in [
            r#"{"UUID": "00000000-0000-0000-0000-000000000000"}"#,
            r#"{"UUID": "no uuid", "SerialNumber": " "}"#,
            r#"{"SerialNumber": "To be filled by O.E.M."}"#,
        ] {
            assert_eq!(of(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn a_link_to_elsewhere_is_only_its_path() {
        let session = Some("/redfish/v1/Sessions/1".to_owned());
        assert_eq!(path_of_url("https://elsewhere:1/redfish/v1/Sessions/1"), session);
        assert_eq!(path_of_url("/redfish/v1/Sessions/1"), session);
        assert_eq!(path_of_url("https://elsewhere"), None);
        assert_eq!(path("/redfish/v1/Systems/1?a=b"), None);
        assert_eq!(path(&format!("/redfish/{}", "a".repeat(600))), None);
    }
}
