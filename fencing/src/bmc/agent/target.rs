//! Which agent, with which parameters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::bmc::{Identity, Secret};

/// Most parameters of an agent.
const MOST: usize = 64;
/// Longest name and longest value, in bytes.
const LONGEST: usize = 1024;
/// Parameters that are ours to set, or that make an agent do what was not asked for: run a shell
/// command, wait, write a file, or switch on again.
const OURS: [&str; 10] =
    ["action", "option", "o", "method", "m", "delay", "debug_file", "debug", "help", "version"];

/// A fence agent with its parameters. What is in it was checked.
#[derive(Clone, Debug)]
pub struct AgentTarget {
    program: PathBuf,
    parameters: BTreeMap<String, String>,
    password: Option<(String, Secret)>,
}

/// Why an agent cannot be used like this. The inventory is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an absolute path.
    #[error("`program` must be an absolute path: nothing is looked up in a search path")]
    Path,
    /// A name that no parameter can have.
    #[error("`{0}` is no parameter's name: letters, digits, `_` and `-`")]
    Name(String),
    /// Ours to set.
    #[error("the parameter `{0}` may not be set: it would change what is asked of the agent")]
    Ours(String),
    /// A password outside of its file.
    #[error("`{0}` is a secret: give it as password_file, with password_parameter = \"{0}\"")]
    Secret(String),
    /// The protocol has a line for each parameter.
    #[error("the value of `{0}` has a line break or a control character, or is too long")]
    Value(String),
    /// The protocol strips them.
    #[error(
        "a password for an agent may not begin or end with a blank or a quote, or have a line break"
    )]
    Password,
    /// More than any agent knows.
    #[error("more than {MOST} parameters")]
    TooMany,
}

impl AgentTarget {
    /// An agent.
    ///
    /// # Errors
    /// [`Refused`]: the protocol cannot carry it, or it would mean something else than it says.
    pub fn new(
        program: PathBuf,
        parameters: BTreeMap<String, String>,
        password: Option<(String, Secret)>,
    ) -> Result<Self, Refused> {
        if !program.is_absolute() {
            return Err(Refused::Path);
        }
        if parameters.len() > MOST {
            return Err(Refused::TooMany);
        }
        for (name, value) in &parameters {
            check_name(name)?;
            if is_secret(name) {
                return Err(Refused::Secret(name.clone()));
            }
            if value.len() > LONGEST || value.chars().any(char::is_control) {
                return Err(Refused::Value(name.clone()));
            }
        }
        if let Some((name, password)) = &password {
            check_name(name)?;
            let text = password.expose_text();
            let stripped = text.trim().trim_matches('"');
            if stripped != text || text.is_empty() || text.chars().any(char::is_control) {
                return Err(Refused::Password);
            }
        }
        Ok(Self { program, parameters, password })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What stands in for an identity: a digest of program and parameters, without the password.
    pub fn identity(&self) -> Identity {
        let mut digest = Sha256::new().chain_update(b"holdfast agent v1\0");
        let mut add = |text: &[u8]| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        add(self.program.as_os_str().as_encoded_bytes());
        for (name, value) in &self.parameters {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        let digest = digest.finalize();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
        Identity(bytes)
    }

    /// Names of everything that it is given.
    pub(super) fn named(&self) -> impl Iterator<Item = &str> {
        let password = self.password().map(|(name, _)| name);
        self.parameters.keys().map(String::as_str).chain(password)
    }

    pub(super) fn parameters(&self) -> &BTreeMap<String, String> {
        &self.parameters
    }

    pub(super) fn password(&self) -> Option<(&str, &Secret)> {
        self.password.as_ref().map(|(name, password)| (name.as_str(), password))
    }
}

fn check_name(name: &str) -> Result<(), Refused> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if name.is_empty() || name.len() > LONGEST || !plain {
        return Err(Refused::Name(name.escape_debug().take(40).collect()));
    }
    let word = name.to_ascii_lowercase().replace('-', "_");
    if OURS.contains(&&*word) || word.ends_with("_script") {
        return Err(Refused::Ours(name.to_owned()));
    }
    Ok(())
}

fn is_secret(name: &str) -> bool {
    let word = name.to_ascii_lowercase();
    word.contains("passw") || word.contains("secret") || word.contains("token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(parameters: &[(&str, &str)]) -> Result<AgentTarget, Refused> {
        let pairs = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        AgentTarget::new("/usr/sbin/fence_x".into(), pairs.collect(), None)
    }

    #[test]
    fn what_would_change_the_question_is_refused() {
        for name in ["action", "Option", "method", "delay", "password-script", "debug-file"] {
            assert_eq!(target(&[(name, "1")]).unwrap_err(), Refused::Ours(name.into()));
        }
        assert_eq!(target(&[("a=b", "1")]).unwrap_err(), Refused::Name("a=b".into()));
        let smuggled = target(&[("plug", "1\naction=on")]);
        assert_eq!(smuggled.unwrap_err(), Refused::Value("plug".into()));
        assert_eq!(target(&[("passwd", "x")]).unwrap_err(), Refused::Secret("passwd".into()));
        let relative = AgentTarget::new("fence_x".into(), BTreeMap::new(), None);
        assert_eq!(relative.unwrap_err(), Refused::Path);
    }

    #[test]
    fn a_password_that_the_protocol_would_change_is_refused() {
        for password in [" a", "a ", "\"a\"", "a\nb", ""] {
            let password = Some(("password".into(), Secret::new(password.into())));
            let said = AgentTarget::new("/x".into(), BTreeMap::new(), password);
            assert_eq!(said.unwrap_err(), Refused::Password);
        }
    }

    #[test]
    fn another_outlet_is_another_identity_and_another_password_is_not() {
        let of = |plug: &str| target(&[("ip", "10.0.0.1"), ("plug", plug)]).unwrap().identity();
        assert_eq!(of("1"), of("1"));
        assert_ne!(of("1"), of("2"));
        let password = Some(("password".into(), Secret::new("a".into())));
        let with = AgentTarget::new("/x".into(), BTreeMap::new(), password).unwrap();
        let without = AgentTarget::new("/x".into(), BTreeMap::new(), None).unwrap();
        assert_eq!(with.identity(), without.identity());
        assert!(!format!("{with:?}").contains("\"a\""));
    }
}
