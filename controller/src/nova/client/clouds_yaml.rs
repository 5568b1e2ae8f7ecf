//! The subset of a `clouds.yaml` that we need. Keys that we do not know are other programs' and are ignored;
//! `profile` and `secure.yaml` are not followed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::error::SetupError;
use super::settings::{Credential, Interface, Reference, Secret, Settings};

/// A clouds.yaml is a few KB; more is not one.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct File {
    clouds: BTreeMap<String, Cloud>,
}

#[derive(Deserialize)]
struct Cloud {
    auth_type: Option<String>,
    #[serde(default)]
    auth: Auth,
    region_name: Option<String>,
    interface: Option<String>,
    endpoint_type: Option<String>,
    cacert: Option<std::path::PathBuf>,
    verify: Option<bool>,
}

#[derive(Default, Deserialize)]
struct Auth {
    auth_url: Option<String>,
    username: Option<String>,
    password: Option<String>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    project_name: Option<String>,
    project_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    domain_name: Option<String>,
    domain_id: Option<String>,
    application_credential_id: Option<String>,
    application_credential_secret: Option<String>,
}

pub(super) fn read(path: &Path, name: &str) -> Result<Settings, SetupError> {
    let io = |source| SetupError::File { path: path.to_path_buf(), source };
    if std::fs::metadata(path).map_err(io)?.len() > MAX_BYTES {
        let problem = "larger than 1 MiB, not a clouds.yaml".to_string();
        return Err(SetupError::CloudsYaml { path: path.to_path_buf(), problem });
    }
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(path).map_err(io)?);
    parse(&text, name)
        .map_err(|problem| SetupError::CloudsYaml { path: path.to_path_buf(), problem })
}

fn parse(text: &str, name: &str) -> Result<Settings, String> {
    // The parser's own message may quote the lines around the error, and with them a password.
    let mut file: File = serde_saphyr::from_str(text).map_err(|error| {
        let place =
            error.location().map(|at| format!(" at line {}", at.line())).unwrap_or_default();
        format!("not valid YAML with a `clouds:` table{place}")
    })?;
    let cloud = file.clouds.remove(name).ok_or_else(|| {
        let known: Vec<_> = file.clouds.keys().map(String::as_str).collect();
        format!("no cloud `{name}`; it has: {}", known.join(", "))
    })?;
    if cloud.verify == Some(false) {
        return Err("`verify: false` is not followed; set `cacert` instead".to_string());
    }
    let auth_url = cloud.auth.auth_url.clone().ok_or("`auth.auth_url` is missing")?;
    Ok(Settings {
        auth_url,
        region: cloud.region_name.clone(),
        interface: interface(cloud.interface.as_deref().or(cloud.endpoint_type.as_deref()))?,
        ca_file: cloud.cacert.clone(),
        credential: credential(cloud)?,
    })
}

/// OpenStack's tools take `public` when nothing is written, so a clouds.yaml without it means that.
fn interface(text: Option<&str>) -> Result<Interface, String> {
    match text.map(|text| text.trim_end_matches("URL")) {
        None | Some("public") => Ok(Interface::Public),
        Some("internal") => Ok(Interface::Internal),
        Some("admin") => Ok(Interface::Admin),
        Some(other) => Err(format!("`interface: {other}` is none of public, internal, admin")),
    }
}

fn credential(cloud: Cloud) -> Result<Credential, String> {
    let auth = cloud.auth;
    let by_credential = match cloud.auth_type.as_deref() {
        Some("v3applicationcredential") => true,
        Some("password" | "v3password") => false,
        None => auth.application_credential_id.is_some(),
        Some(other) => {
            return Err(format!(
                "`auth_type: {other}` is neither password nor v3applicationcredential"
            ));
        }
    };
    if by_credential {
        return Ok(Credential::Application {
            id: auth
                .application_credential_id
                .ok_or("`auth.application_credential_id` is missing")?,
            secret: Secret::new(
                auth.application_credential_secret
                    .ok_or("`auth.application_credential_secret` is missing")?,
            ),
        });
    }
    let shared = reference(auth.domain_id, auth.domain_name);
    let default = || shared.clone().unwrap_or(Reference::Name("Default".to_string()));
    Ok(Credential::Password {
        user: auth.username.ok_or("`auth.username` is missing")?,
        password: Secret::new(auth.password.ok_or("`auth.password` is missing")?),
        user_domain: reference(auth.user_domain_id, auth.user_domain_name).unwrap_or_else(default),
        project: reference(auth.project_id, auth.project_name)
            .ok_or("`auth.project_name` is missing")?,
        project_domain: reference(auth.project_domain_id, auth.project_domain_name)
            .unwrap_or_else(default),
    })
}

fn reference(id: Option<String>, name: Option<String>) -> Option<Reference> {
    id.map(Reference::Id).or(name.map(Reference::Name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
clouds:
  ha:
    auth:
      auth_url: https://keystone.example:5000/v3
      username: ha
      password: \"s: ecret\"
      project_name: admin
      user_domain_name: Default
      project_domain_id: default
    region_name: RegionOne
    interface: internal
    cacert: /etc/ssl/cloud.pem
    identity_api_version: 3
  app:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://keystone.example:5000
      application_credential_id: abc
      application_credential_secret: xyz
  lax:
    verify: false
    auth: {auth_url: https://k, username: a, password: b, project_name: c}
";

    #[test]
    fn both_kinds_of_credential_are_read() {
        let ha = parse(FILE, "ha").unwrap();
        assert_eq!(ha.auth_url, "https://keystone.example:5000/v3");
        assert_eq!(ha.region.as_deref(), Some("RegionOne"));
        assert_eq!(ha.interface, Interface::Internal);
        assert_eq!(
            ha.credential,
            Credential::Password {
                user: "ha".into(),
                user_domain: Reference::Name("Default".into()),
                password: Secret::new("s: ecret"),
                project: Reference::Name("admin".into()),
                project_domain: Reference::Id("default".into()),
            }
        );
        let app = parse(FILE, "app").unwrap();
        assert_eq!(app.interface, Interface::Public);
        let secret = Secret::new("xyz");
        assert_eq!(app.credential, Credential::Application { id: "abc".into(), secret });
    }

    #[test]
    fn what_is_wrong_is_named_and_secrets_are_not() {
        assert!(parse(FILE, "prod").unwrap_err().contains("app, ha, lax"));
        assert!(parse(FILE, "lax").unwrap_err().contains("cacert"));
        let broken = "clouds:\n  ha:\n    auth:\n      password: hunter2\n     username: [";
        let said = parse(broken, "ha").unwrap_err();
        assert!(said.contains("line"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
