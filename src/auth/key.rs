//! A new API key, and how a key is stored: by its SHA-256 only.
//!
//! A key is 256 random bits, so a plain hash of it tells nothing: there is nothing to guess.

use std::fmt::Write;

use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};

use super::principal::is_name;
use super::role::Grants;

/// What every key begins with, so that scanners of source code and logs find one.
pub(super) const PREFIX: &str = "retell_";

/// What stands before the hash in the file of keys.
pub(super) const HASH: &str = "sha256:";

/// A key that nobody has seen yet.
///
/// ```
/// use retell::auth::NewKey;
///
/// let new = NewKey::random("shop", &"read,write:account".parse()?)?.expect("a name");
/// assert!(new.key.starts_with("retell_"));
/// assert!(new.line.starts_with("shop read,write:account sha256:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NewKey {
    /// The key. It is shown once and kept nowhere.
    pub key: String,
    /// The line of the file that `auth.keys_file` names.
    pub line: String,
}

impl NewKey {
    /// A random key; none for a name that no line can have.
    ///
    /// # Errors
    /// The operating system gives no random numbers.
    pub fn random(name: &str, grants: &Grants) -> std::io::Result<Option<Self>> {
        if !is_name(name) || name.contains(char::is_whitespace) || name.starts_with('#') {
            return Ok(None);
        }
        let mut random = [0; 32];
        SysRng.try_fill_bytes(&mut random).map_err(std::io::Error::other)?;
        let key = format!("{PREFIX}{}", hex(&random));
        let line = format!("{name} {grants} {HASH}{}", hex(&digest(&key)));
        Ok(Some(Self { key, line }))
    }
}

/// What is kept of a key or of a token.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}
