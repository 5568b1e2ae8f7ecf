//! A real Nova in the place of the stand-in, brought up by `tests/support/nova/up.sh`.

use std::path::{Path, PathBuf};

/// What its file `env` says.
#[derive(Clone, Debug)]
pub(super) struct RealNova {
    /// Keystone.
    pub(super) auth_url: String,
    /// User.
    pub(super) user: String,
    /// File that holds the password.
    pub(super) password_file: PathBuf,
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
        Ok(Self {
            auth_url: value("HOLDFAST_NOVA_AUTH_URL")?,
            user: value("HOLDFAST_NOVA_USERNAME")?,
            password_file: value("HOLDFAST_NOVA_PASSWORD_FILE")?.into(),
            region: value("HOLDFAST_NOVA_REGION")?,
        })
    }
}
