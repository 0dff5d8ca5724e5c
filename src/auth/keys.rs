//! The API keys of the file that `auth.keys_file` names: `NAME ROLES sha256:HASH`, one a line.
//!
//! Several lines may have one name, so that a key can be exchanged without a gap.

use std::collections::BTreeMap;

use subtle::ConstantTimeEq;

use super::key::{HASH, digest};
use super::principal::{Principal, is_name};
use super::rate::Rates;
use super::role::Grants;

/// The keys by the first bytes of their hashes: nobody can make a key whose hash begins as wanted,
/// so what a look-up's time tells is of no use, and the rest is compared in constant time.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<[u8; 8], Kept>);

#[derive(Debug)]
struct Kept {
    digest: [u8; 32],
    line: String,
    principal: Principal,
}

impl Keys {
    /// Reads the file. A caller whose line is as it was `before` stays the same one; those that
    /// are gone are told.
    ///
    /// # Errors
    /// Which line is wrong, and why; never what is in it beyond name and roles.
    pub(super) fn parse(text: &str, rates: &Rates, before: &Self) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: String| format!("line {}: {what}", number + 1);
            let (name, grants, digest) = parts(line).map_err(wrong)?;
            let short = short(&digest);
            let kept = before.0.get(&short).filter(|kept| kept.line == line);
            let principal = kept.map(|kept| kept.principal.clone());
            let principal = principal
                .unwrap_or_else(|| Principal::of(Some(name), grants, None, rates.of(name)));
            let kept = Kept { digest, line: line.to_owned(), principal };
            if keys.insert(short, kept).is_some() {
                return Err(wrong("the same key stands above".to_owned()));
            }
        }
        let is_there =
            |kept: &Kept| keys.get(&short(&kept.digest)).is_some_and(|now| now.line == kept.line);
        before.0.values().filter(|kept| !is_there(kept)).for_each(|kept| kept.principal.revoke());
        Ok(Self(keys))
    }

    pub(super) fn find(&self, key: &str) -> Option<Principal> {
        let digest = digest(key);
        let kept = self.0.get(&short(&digest))?;
        bool::from(kept.digest.ct_eq(&digest)).then(|| kept.principal.clone())
    }
}

fn short(digest: &[u8; 32]) -> [u8; 8] {
    *digest.first_chunk().expect("32 bytes have 8")
}

fn parts(line: &str) -> Result<(&str, Grants, [u8; 32]), String> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(grants), Some(hash), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("expected NAME ROLES sha256:HASH, as `retell key new` prints it".to_owned());
    };
    if !is_name(name) {
        return Err("the name has more than 200 bytes".to_owned());
    }
    let grants = grants.parse::<Grants>().map_err(|error| error.to_string())?;
    let digest = hash.strip_prefix(HASH).and_then(bytes_of);
    let digest = digest.ok_or("the third word is not sha256: and 64 hex digits")?;
    Ok((name, grants, digest))
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::key::NewKey;
    use super::*;
    use crate::config::Config;

    fn rates() -> Rates {
        Rates::new(Config::defaults().http.rate)
    }

    fn new_key(name: &str, grants: &str) -> NewKey {
        let grants = grants.parse().expect("roles");
        NewKey::random(name, &grants).expect("random numbers").expect("a name")
    }

    #[test]
    fn a_new_key_is_found_by_its_line_and_no_other_is() {
        let (ann, bob) = (new_key("ann", "read,write:account"), new_key("bob", "-"));
        assert!(ann.key.starts_with("retell_") && !ann.line.contains(&ann.key[7..]));
        let text = format!("# Callers.\n\n{}\n", ann.line);
        let keys = Keys::parse(&text, &rates(), &Keys::default()).expect("keys");
        let found = keys.find(&ann.key).expect("found");
        assert_eq!(
            (found.name(), found.grants().to_string().as_str()),
            ("ann", "read,write:account")
        );
        assert!(keys.find(&bob.key).is_none());
        assert!(keys.find(&ann.line).is_none() && keys.find("").is_none());
    }

    #[test]
    fn a_hash_that_only_begins_the_same_is_another() {
        let ann = new_key("ann", "read");
        let mut line = ann.line.clone();
        let last = if line.pop() == Some('0') { '1' } else { '0' };
        line.push(last);
        let keys = Keys::parse(&line, &rates(), &Keys::default()).expect("keys");
        assert!(keys.find(&ann.key).is_none());
    }

    #[test]
    fn a_line_that_is_wrong_is_named_and_not_shown() {
        let good = new_key("ann", "read").line;
        for (line, said) in [
            ("ann read retell_0123", "third word"),
            ("ann reads sha256:0", "`reads` is no role"),
            ("ann read", "expected NAME ROLES"),
            (good.as_str(), "the same key stands above"),
        ] {
            let text = format!("{good}\n{line}");
            let error = Keys::parse(&text, &rates(), &Keys::default()).expect_err(line);
            assert!(error.starts_with("line 2: ") && error.contains(said), "{error}");
            assert!(!error.contains("0123") && !error.contains("sha256:0"), "{error}");
        }
    }

    #[test]
    fn a_name_that_no_line_can_have_gets_no_key() {
        for name in ["", "two words", "#ann", "a\u{7}"] {
            let made = NewKey::random(name, &Grants::default()).expect("random numbers");
            assert!(made.is_none(), "{name}");
        }
    }
}
