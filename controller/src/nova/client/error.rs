use std::path::PathBuf;

use super::microversion::Microversion;

/// Why the client cannot work. `Display` names what to repair; after any of these nothing was written to Nova.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A setting is missing or contradicts another. The client does not start.
    #[error("nova settings: {0}")]
    Settings(String),
    /// A file named in the settings (clouds.yaml, secret) cannot be read. The client does not start.
    #[error("nova settings: cannot read {path}; does it exist, and may this user read it?")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The clouds.yaml does not parse or lacks something. The client does not start.
    #[error("{path}: {problem}")]
    CloudsYaml {
        /// The file.
        path: PathBuf,
        /// What is wrong, without secrets.
        problem: String,
    },
    /// The CA file is not usable. The client does not start.
    #[error(
        "CA file {path}: {problem}; it must hold PEM certificates of the authority that signed Keystone and Nova"
    )]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The HTTP library could not be set up, most often for want of system CA certificates. The client does not start.
    #[error(
        "cannot set up TLS: {0}; set ca_file to the cloud's CA certificate or install the system's CA bundle"
    )]
    Tls(String),
    /// Keystone did not answer. Worth waiting for; no call is possible meanwhile.
    #[error(
        "Keystone at {url} does not answer: {problem}; check auth_url, the network and Keystone itself"
    )]
    KeystoneUnreachable {
        /// Address that was tried.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The certificate of Keystone or Nova is not trusted. Nothing was sent.
    #[error(
        "TLS with {url} failed: {problem}; set ca_file (cacert in clouds.yaml) to the CA that signed its certificate"
    )]
    Untrusted {
        /// Address that was tried.
        url: String,
        /// What the TLS library said.
        problem: String,
    },
    /// 401: wrong user, password, domain, project or application credential. Not tried again for a minute,
    /// because accounts may lock.
    #[error(
        "Keystone refuses the credential ({what}); check name, secret, domain and project, or whether it expired or was deleted"
    )]
    Credential {
        /// Which credential, without its secret.
        what: String,
    },
    /// Keystone answered something that is not a token. No call is possible.
    #[error(
        "the answer of {url} is not Keystone's: {problem}; does auth_url point to Keystone (…:5000/v3)?"
    )]
    NotKeystone {
        /// Address that was tried.
        url: String,
        /// What was wrong.
        problem: String,
    },
    /// The token carries no catalog. The client does not start.
    #[error("the token has no service catalog; scope the credential to a project")]
    NoCatalog,
    /// No endpoint of a kind fits interface and region. Without a compute endpoint the client does not start.
    #[error(
        "the catalog has no {kind} endpoint with interface {interface} in {wanted}; it has: {present}"
    )]
    NoEndpoint {
        /// `compute` or `image`.
        kind: &'static str,
        /// Interface asked for.
        interface: String,
        /// Region asked for.
        wanted: String,
        /// What the catalog offers.
        present: String,
    },
    /// More than one endpoint of a kind fits, and the client does not guess. With two of compute it does not start.
    #[error(
        "the catalog has several {kind} endpoints with interface {interface}: {present}; set region"
    )]
    ManyEndpoints {
        /// `compute` or `image`.
        kind: &'static str,
        /// Interface asked for.
        interface: String,
        /// What fits.
        present: String,
    },
    /// An endpoint's address in the catalog cannot be used. If it is Nova's, the client does not start.
    #[error("{kind} endpoint {url}: {problem}; repair the catalog")]
    Endpoint {
        /// `compute` or `image`.
        kind: &'static str,
        /// Address in the catalog.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// Nova did not answer. Worth waiting for.
    #[error(
        "Nova at {url} does not answer: {problem}; check the endpoint in the catalog and the network"
    )]
    NovaUnreachable {
        /// Address that was tried.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The version document is not Nova's. The client does not start.
    #[error(
        "the answer of {url} is not Nova's version document: {problem}; repair the endpoint in the catalog"
    )]
    NotNova {
        /// Address that was tried.
        url: String,
        /// What was wrong.
        problem: String,
    },
    /// This Nova is older than a call of ours needs. The client does not start.
    #[error("this Nova speaks microversions up to {newest}, and at least {oldest} is needed")]
    TooOld {
        /// What it speaks.
        newest: Microversion,
        /// What is needed.
        oldest: Microversion,
    },
}

impl SetupError {
    /// Whether waiting may cure it (nobody answered), as against a setting that a person must repair.
    pub fn is_transient(&self) -> bool {
        match self {
            SetupError::KeystoneUnreachable { .. } | SetupError::NovaUnreachable { .. } => true,
            SetupError::Settings(_)
            | SetupError::File { .. }
            | SetupError::CloudsYaml { .. }
            | SetupError::CaFile { .. }
            | SetupError::Tls(_)
            | SetupError::Untrusted { .. }
            | SetupError::Credential { .. }
            | SetupError::NotKeystone { .. }
            | SetupError::NoCatalog
            | SetupError::NoEndpoint { .. }
            | SetupError::ManyEndpoints { .. }
            | SetupError::Endpoint { .. }
            | SetupError::NotNova { .. }
            | SetupError::TooOld { .. } => false,
        }
    }
}
