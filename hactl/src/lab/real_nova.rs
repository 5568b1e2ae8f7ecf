//! A real Nova in the place of the stand-in, brought up by `tests/support/nova/up.sh`.

use std::path::{Path, PathBuf};

/// What its file `env` says.
#[derive(Clone, Debug)]
pub(super) struct RealNova {
    /// Keystone.
    pub(super) auth_url: String,
    /// Id of the application credential that an operator makes for Holdfast.
    pub(super) credential_id: String,
    /// File that holds its secret.
    pub(super) credential_secret_file: PathBuf,
    /// Region.
    pub(super) region: String,
}

impl RealNova {
    /// Reads lines `KEY=VALUE`.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(str::to_owned)
                .ok_or_else(|| anyhow::anyhow!("{}: no line {key}=...", path.display()))
        };
        let id_file = value("HOLDFAST_NOVA_CREDENTIAL_ID_FILE")?;
        Ok(Self {
            auth_url: value("HOLDFAST_NOVA_AUTH_URL")?,
            credential_id: std::fs::read_to_string(&id_file)
                .map_err(|error| anyhow::anyhow!("{id_file}: {error}"))?
                .trim()
                .to_owned(),
            credential_secret_file: value("HOLDFAST_NOVA_CREDENTIAL_SECRET_FILE")?.into(),
            region: value("HOLDFAST_NOVA_REGION")?,
        })
    }
}
