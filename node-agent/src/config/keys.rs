//! Key files: this node's secrets, and the public keys of all nodes.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fencing::NodeId;
use fencing::sign::{KeyPair, PublicKey};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Config, ConfigError};

/// Public keys of the nodes: who may ask, and who may vouch.
///
/// The file is the same on all nodes and is read again on SIGHUP. A registry that carried the keys would commit them
/// with the enrolment of a node and hand them out in the log parts, as it does addresses; a node would then learn of a
/// new peer without its file being touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeKeys(BTreeMap<NodeId, PublicKey>);

impl NodeKeys {
    /// Parses lines of `UUID KEY`; `#` begins a comment.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line; keys that were read before stay in use.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut keys = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line_of_words = line.split('#').next().unwrap_or_default();
            let mut words = line_of_words.split_whitespace();
            let invalid = |what: &str| ConfigError::Invalid {
                path: path.to_owned(),
                line: index + 1,
                what: what.to_owned(),
            };
            let Some(node) = words.next() else { continue };
            let node =
                Uuid::try_parse(node).map_err(|_| invalid("must begin with a node's UUID"))?;
            let key = words.next().ok_or_else(|| invalid("the node's public key is missing"))?;
            let key = PublicKey::parse(key).map_err(|error| invalid(&error.to_string()))?;
            if words.next().is_some() {
                return Err(invalid("must be a UUID and a key, nothing more"));
            }
            if keys.insert(NodeId(node), key).is_some() {
                return Err(invalid("this node has a key already; keep one line for each"));
            }
        }
        Ok(Self(keys))
    }

    /// The key of a node.
    pub fn key(&self, node: NodeId) -> Option<PublicKey> {
        self.0.get(&node).copied()
    }
}

impl Config {
    /// Reads the public keys of the nodes.
    ///
    /// # Errors
    /// [`ConfigError`]; the program does not start, or keeps the keys that it has.
    pub fn node_keys(&self) -> Result<NodeKeys, ConfigError> {
        let path = &self.keys_file;
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        NodeKeys::parse(&text, path)
    }

    /// Reads this node's private key.
    ///
    /// # Errors
    /// [`ConfigError`], also where others can read the file; the program does not start.
    pub fn key_pair(&self) -> Result<KeyPair, ConfigError> {
        let text = secret(&self.key_file)?;
        KeyPair::parse(&text).map_err(|error| ConfigError::Invalid {
            path: self.key_file.clone(),
            line: 1,
            what: error.to_string(),
        })
    }

    /// Reads the text of the gossip key file.
    ///
    /// # Errors
    /// [`ConfigError`], also where others can read the file; the program does not start.
    pub fn gossip_key_text(&self) -> Result<Zeroizing<String>, ConfigError> {
        secret(&self.gossip_key_file)
    }
}

fn secret(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(read)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(ConfigError::OpenToOthers { path: path.to_owned(), mode });
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(read)
}
