use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::SetupError;

/// A password or token. Prints as `***` and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text, to be put into a request and nowhere else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A domain or project, by name or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// By name.
    Name(String),
    /// By id.
    Id(String),
}

/// Who we are to Keystone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// User and password, scoped to a project (Nova's admin rules are project-scoped).
    Password {
        /// User name.
        user: String,
        /// The user's domain.
        user_domain: Reference,
        /// Password.
        password: Secret,
        /// Project to act in.
        project: Reference,
        /// The project's domain; not sent when the project is given by id.
        project_domain: Reference,
    },
    /// An application credential; it carries its own project, asking for one is refused.
    Application {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Secret,
    },
}

impl Credential {
    /// Names the credential for an error message, without its secret.
    pub(super) fn describe(&self) -> String {
        match self {
            Credential::Password { user, .. } => format!("user {user}"),
            Credential::Application { id, .. } => format!("application credential {id}"),
        }
    }
}

/// Which of the catalog's addresses to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// For everybody.
    Public,
    /// For the cloud's own parts; ours by default.
    #[default]
    Internal,
    /// Rarely its own network today.
    Admin,
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Interface::Public => "public",
            Interface::Internal => "internal",
            Interface::Admin => "admin",
        })
    }
}

/// All that the client needs to reach one cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Keystone's address, with or without `/v3`.
    pub auth_url: String,
    /// Who we are.
    pub credential: Credential,
    /// Region; `None` only if the catalog has a single one.
    pub region: Option<String>,
    /// Interface.
    pub interface: Interface,
    /// PEM file of the CA that signed Keystone's and Nova's certificates; `None` trusts the system's.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// Reads one cloud of a `clouds.yaml`. Only what is needed is read; other keys are ignored.
    pub fn from_clouds_yaml(file: &Path, cloud: &str) -> Result<Settings, SetupError> {
        super::clouds_yaml::read(file, cloud)
    }
}

/// The `[nova]` table of the controller's configuration: either `clouds_file` and `cloud`, or the keys themselves.
/// Secrets are always in files of their own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NovaConfig {
    /// Path of a `clouds.yaml`; needs `cloud`, excludes all other keys.
    pub clouds_file: Option<PathBuf>,
    /// Name of the cloud in it.
    pub cloud: Option<String>,
    /// Keystone's address.
    pub auth_url: Option<String>,
    /// Region; needed when the catalog has more than one.
    pub region: Option<String>,
    /// `public`, `internal` (default) or `admin`.
    pub interface: Interface,
    /// PEM file of the cloud's CA.
    pub ca_file: Option<PathBuf>,
    /// User name; with `password_file` and `project`.
    pub user: Option<String>,
    /// The user's domain, by default `Default`.
    pub user_domain: Option<String>,
    /// File that holds the password and nothing else.
    pub password_file: Option<PathBuf>,
    /// Project to act in.
    pub project: Option<String>,
    /// The project's domain, by default `Default`.
    pub project_domain: Option<String>,
    /// Id of an application credential; with `credential_secret_file`, excludes `user`.
    pub credential_id: Option<String>,
    /// File that holds its secret and nothing else.
    pub credential_secret_file: Option<PathBuf>,
}

impl NovaConfig {
    /// Checks the table and reads the files it names.
    pub fn settings(&self) -> Result<Settings, SetupError> {
        match (&self.clouds_file, &self.cloud) {
            (Some(file), Some(cloud)) => {
                if self.auth_url.is_some() || self.user.is_some() || self.credential_id.is_some() {
                    return Err(wrong("clouds_file excludes auth_url, user and credential_id"));
                }
                return Settings::from_clouds_yaml(file, cloud);
            }
            (None, None) => {}
            (Some(_), None) => return Err(wrong("clouds_file needs cloud = \"NAME\"")),
            (None, Some(_)) => return Err(wrong("cloud needs clouds_file = \"PATH\"")),
        }
        let auth_url = self.auth_url.clone().ok_or_else(|| {
            wrong("write auth_url = \"https://KEYSTONE:5000/v3\", or clouds_file and cloud")
        })?;
        Ok(Settings {
            auth_url,
            credential: self.credential()?,
            region: self.region.clone(),
            interface: self.interface,
            ca_file: self.ca_file.clone(),
        })
    }

    fn credential(&self) -> Result<Credential, SetupError> {
        match (&self.user, &self.credential_id) {
            (Some(user), None) => {
                let file = self.password_file.as_deref();
                let file = file.ok_or_else(|| wrong("user needs password_file"))?;
                let project = self.project.clone();
                Ok(Credential::Password {
                    user: user.clone(),
                    user_domain: domain(self.user_domain.as_deref()),
                    password: secret_in(file)?,
                    project: Reference::Name(project.ok_or_else(|| wrong("user needs project"))?),
                    project_domain: domain(self.project_domain.as_deref()),
                })
            }
            (None, Some(id)) => {
                let file = self.credential_secret_file.as_deref();
                let file =
                    file.ok_or_else(|| wrong("credential_id needs credential_secret_file"))?;
                Ok(Credential::Application { id: id.clone(), secret: secret_in(file)? })
            }
            (None, None) => Err(wrong("write user or credential_id")),
            (Some(_), Some(_)) => Err(wrong("write user or credential_id, not both")),
        }
    }
}

fn domain(name: Option<&str>) -> Reference {
    Reference::Name(name.unwrap_or("Default").to_string())
}

fn secret_in(path: &Path) -> Result<Secret, SetupError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SetupError::File { path: path.to_path_buf(), source })?;
    let text = Zeroizing::new(text);
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(SetupError::Settings(format!("secret file {} is empty", path.display())));
    }
    Ok(Secret::new(text))
}

fn wrong(problem: &str) -> SetupError {
    SetupError::Settings(problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let credential =
            Credential::Application { id: "abc".into(), secret: Secret::new("hunter2") };
        let printed = format!("{credential:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("***"), "{printed}");
    }

    #[test]
    fn contradictions_are_refused_with_what_to_write() {
        let config = |text: &str| -> NovaConfig { toml::from_str(text).unwrap() };
        let said = |text: &str| config(text).settings().unwrap_err().to_string();
        assert!(said("").contains("auth_url ="));
        assert!(said("cloud = \"x\"").contains("clouds_file"));
        assert!(said("auth_url = \"http://k\"").contains("user or credential_id"));
        assert!(said("auth_url = \"http://k\"\nuser = \"ha\"").contains("password_file"));
        let missing =
            said("auth_url = \"http://k\"\nuser = \"ha\"\npassword_file = \"/nowhere/x\"");
        assert!(missing.contains("/nowhere/x"), "{missing}");
        assert!(toml::from_str::<NovaConfig>("pasword = \"x\"").is_err());
    }
}
