//! Placeholder until the lab is written.

pub mod internal {
    //! Placeholder until the lab is written.

    /// Nothing yet.
    #[derive(Clone, Debug, clap::Args)]
    pub struct Args {}

    /// Does nothing yet.
    ///
    /// # Errors
    /// Always.
    pub fn run(_args: Args) -> anyhow::Result<()> {
        anyhow::bail!("there is no lab yet")
    }
}

/// Nothing yet.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Does nothing yet.
///
/// # Errors
/// Always.
#[allow(clippy::unused_async)] // The signature that the real one has.
pub async fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("there is no lab yet")
}
