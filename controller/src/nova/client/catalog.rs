//! Choosing the endpoints of Nova and of Glance from a token's catalog: exactly one each, or an error.

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

/// Nova's endpoint.
pub(super) fn compute(catalog: &[Entry], settings: &Settings) -> Result<Url, SetupError> {
    nova_base(choose("compute", catalog, settings)?)
}

/// Glance's endpoint.
pub(super) fn images(catalog: &[Entry], settings: &Settings) -> Result<Url, SetupError> {
    glance_base(choose("image", catalog, settings)?)
}

fn choose<'a>(
    kind: &'static str,
    catalog: &'a [Entry],
    settings: &Settings,
) -> Result<&'a str, SetupError> {
    if catalog.is_empty() {
        return Err(SetupError::NoCatalog);
    }
    let of_kind = || catalog.iter().filter(|e| e.kind == kind).flat_map(|e| &e.endpoints);
    let interface = settings.interface.to_string();
    let fits: Vec<_> = of_kind()
        .filter(|e| e.interface == interface)
        .filter(|e| settings.region.as_deref().is_none_or(|region| e.region() == region))
        .collect();
    match fits.as_slice() {
        [one] => Ok(&one.url),
        [] => Err(SetupError::NoEndpoint {
            kind,
            interface,
            wanted: match &settings.region {
                Some(region) => format!("region {region}"),
                None => "any region".to_string(),
            },
            present: list(kind, of_kind()),
        }),
        [_, _, ..] => Err(SetupError::ManyEndpoints {
            kind,
            interface,
            present: list(kind, fits.into_iter()),
        }),
    }
}

fn list<'a>(kind: &str, endpoints: impl Iterator<Item = &'a Endpoint>) -> String {
    let names: Vec<_> =
        endpoints.take(20).map(|e| format!("{} in {}", e.interface, e.region())).collect();
    if names.is_empty() {
        return format!("no endpoint of type {kind}");
    }
    super::transport::clip(&names.join(", "))
}

/// The catalog's URL up to and with `/v2.1`. It may lack the version or carry a project id behind it; Nova needs
/// neither the one nor the other in the catalog, and paths without project id are what access rules are written for.
fn nova_base(text: &str) -> Result<Url, SetupError> {
    let mut url = address("compute", text)?;
    let mut kept = String::new();
    for part in url.path().split('/').filter(|part| !part.is_empty()) {
        if part == "v2.1" {
            break;
        }
        if part == "v2" || part == "v2.0" {
            return Err(unusable("compute", text, "the old v2 API; it must be v2.1"));
        }
        kept.push('/');
        kept.push_str(part);
    }
    url.set_path(&format!("{kept}/v2.1"));
    Ok(url)
}

/// The catalog's URL up to and with `/v2`, which it may lack.
fn glance_base(text: &str) -> Result<Url, SetupError> {
    let mut url = address("image", text)?;
    let path = url.path().trim_end_matches('/');
    if path.ends_with("/v1") {
        return Err(unusable("image", text, "the old v1 API; it must be v2"));
    }
    let kept = path.strip_suffix("/v2").unwrap_or(path).to_owned();
    url.set_path(&format!("{kept}/v2"));
    Ok(url)
}

fn address(kind: &'static str, text: &str) -> Result<Url, SetupError> {
    let mut url = Url::parse(text).map_err(|_| unusable(kind, text, "not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(unusable(kind, text, "neither http nor https"));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn unusable(kind: &'static str, text: &str, problem: &str) -> SetupError {
    let (url, problem) = (super::transport::clip(text), problem.to_string());
    SetupError::Endpoint { kind, url, problem }
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
        let said = compute(&catalog(&["one", "two"]), &settings(Some("oen"))).unwrap_err();
        assert!(said.to_string().contains("region oen"), "{said}");
        assert!(said.to_string().contains("public in one, public in two"), "{said}");
    }

    #[test]
    fn two_regions_and_none_chosen_are_refused() {
        let said = compute(&catalog(&["one", "two"]), &settings(None)).unwrap_err();
        assert!(said.to_string().contains("set region"), "{said}");
        let url = compute(&catalog(&["one", "two"]), &settings(Some("two"))).unwrap();
        assert_eq!(url.as_str(), "http://nova.two:8774/v2.1");
        assert!(matches!(compute(&[], &settings(None)), Err(SetupError::NoCatalog)));
    }

    #[test]
    fn the_catalog_may_lack_the_version_or_carry_a_project() {
        let of = |text: &str| nova_base(text).unwrap().to_string();
        assert_eq!(of("http://h:8774/"), "http://h:8774/v2.1");
        assert_eq!(of("http://h:8774/v2.1/"), "http://h:8774/v2.1");
        assert_eq!(of("https://h/compute/v2.1/0123abcd"), "https://h/compute/v2.1");
        assert!(nova_base("http://h:8774/v2/0123").is_err());
        assert!(nova_base("nova").is_err());
    }

    #[test]
    fn glance_is_found_with_or_without_its_version_and_missed_by_name() {
        let of = |text: &str| glance_base(text).unwrap().to_string();
        for text in ["http://h:9292", "http://h:9292/", "http://h:9292/v2", "http://h:9292/v2/"] {
            assert_eq!(of(text), "http://h:9292/v2");
        }
        assert_eq!(of("https://h/image/v2/"), "https://h/image/v2");
        assert!(glance_base("http://h:9292/v1").is_err());
        let said = images(&catalog(&["one"]), &settings(Some("one"))).unwrap_err();
        assert!(said.to_string().contains("no image endpoint"), "{said}");
    }
}
