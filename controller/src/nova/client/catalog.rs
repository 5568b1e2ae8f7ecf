//! Choosing the compute endpoint from a token's catalog: exactly one, or an error.

use reqwest::Url;
use serde::Deserialize;

use super::error::SetupError;
use super::settings::Settings;

#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(rename = "type")]
    kind: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    region: Option<String>,
    region_id: Option<String>,
    url: String,
}

impl Endpoint {
    fn region(&self) -> &str {
        self.region_id.as_deref().or(self.region.as_deref()).unwrap_or("")
    }
}

pub(super) fn choose(catalog: &[Entry], settings: &Settings) -> Result<Url, SetupError> {
    if catalog.is_empty() {
        return Err(SetupError::NoCatalog);
    }
    let compute = || catalog.iter().filter(|e| e.kind == "compute").flat_map(|e| &e.endpoints);
    let interface = settings.interface.to_string();
    let fits: Vec<_> = compute()
        .filter(|e| e.interface == interface)
        .filter(|e| settings.region.as_deref().is_none_or(|region| e.region() == region))
        .collect();
    match fits.as_slice() {
        [one] => base(&one.url),
        [] => Err(SetupError::NoEndpoint {
            interface,
            wanted: match &settings.region {
                Some(region) => format!("region {region}"),
                None => "any region".to_string(),
            },
            present: list(compute()),
        }),
        [_, _, ..] => Err(SetupError::ManyEndpoints { interface, present: list(fits.into_iter()) }),
    }
}

fn list<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> String {
    let names: Vec<_> =
        endpoints.take(20).map(|e| format!("{} in {}", e.interface, e.region())).collect();
    if names.is_empty() {
        return "no endpoint of type compute".to_string();
    }
    super::transport::clip(&names.join(", "))
}

/// The catalog's URL up to and with `/v2.1`. It may lack the version or carry a project id behind it; Nova needs
/// neither the one nor the other in the catalog, and paths without project id are what access rules are written for.
fn base(text: &str) -> Result<Url, SetupError> {
    let wrong = |problem: &str| SetupError::Endpoint {
        url: super::transport::clip(text),
        problem: problem.to_string(),
    };
    let mut url = Url::parse(text).map_err(|_| wrong("not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("neither http nor https"));
    }
    url.set_query(None);
    url.set_fragment(None);
    let mut kept = String::new();
    for part in url.path().split('/').filter(|part| !part.is_empty()) {
        if part == "v2.1" {
            break;
        }
        if part == "v2" || part == "v2.0" {
            return Err(wrong("the old v2 API; it must be v2.1"));
        }
        kept.push('/');
        kept.push_str(part);
    }
    url.set_path(&format!("{kept}/v2.1"));
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nova::client::settings::{Credential, Interface, Secret};

    fn settings(region: Option<&str>) -> Settings {
        Settings {
            auth_url: "http://keystone/v3".into(),
            credential: Credential::Application { id: "a".into(), secret: Secret::new("b") },
            region: region.map(str::to_string),
            interface: Interface::Public,
            ca_file: None,
        }
    }

    fn catalog(regions: &[&str]) -> Vec<Entry> {
        let endpoints: Vec<_> = regions
            .iter()
            .map(|region| {
                serde_json::json!({"interface": "public", "region": region, "region_id": region,
                    "id": "x", "url": format!("http://nova.{region}:8774/v2.1")})
            })
            .collect();
        let entries = serde_json::json!([
            {"type": "identity", "name": "keystone", "endpoints": []},
            {"type": "compute", "name": "nova", "endpoints": endpoints},
        ]);
        serde_json::from_value(entries).unwrap()
    }

    #[test]
    fn a_region_typo_is_refused_with_the_regions_that_exist() {
        let said = choose(&catalog(&["one", "two"]), &settings(Some("oen"))).unwrap_err();
        assert!(said.to_string().contains("region oen"), "{said}");
        assert!(said.to_string().contains("public in one, public in two"), "{said}");
    }

    #[test]
    fn two_regions_and_none_chosen_are_refused() {
        let said = choose(&catalog(&["one", "two"]), &settings(None)).unwrap_err();
        assert!(said.to_string().contains("set region"), "{said}");
        let url = choose(&catalog(&["one", "two"]), &settings(Some("two"))).unwrap();
        assert_eq!(url.as_str(), "http://nova.two:8774/v2.1");
        assert!(matches!(choose(&[], &settings(None)), Err(SetupError::NoCatalog)));
    }

    #[test]
    fn the_catalog_may_lack_the_version_or_carry_a_project() {
        let of = |text: &str| base(text).unwrap().to_string();
        assert_eq!(of("http://h:8774/"), "http://h:8774/v2.1");
        assert_eq!(of("http://h:8774/v2.1/"), "http://h:8774/v2.1");
        assert_eq!(of("https://h/compute/v2.1/0123abcd"), "https://h/compute/v2.1");
        assert!(base("http://h:8774/v2/0123").is_err());
        assert!(base("nova").is_err());
    }
}
