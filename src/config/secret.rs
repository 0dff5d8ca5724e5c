//! Which settings may hold secrets, and how they look when they are shown.

use toml::Value;

use super::url::without_password;

/// Addresses that may hold a password.
const URLS: [&str; 4] = ["auth.jwt.jwks", "log.url", "telemetry.traces_url", "views.url"];
/// Of these, the ones that may stand in a file. The issuer's may be a file itself.
const IN_FILES: [&str; 3] = ["log.url", "telemetry.traces_url", "views.url"];
const PROPERTIES: &str = "log.kafka.properties.";
const SECRET_WORDS: [&str; 5] = ["password", "secret", "key", "token", "jaas"];
/// Properties that hold a secret themselves. Others, such as `…private.key.file`, name a file.
const SECRET_ENDINGS: [&str; 4] = ["password", "secret", "passphrase", "pem"];

/// Whether the value, or a part of it, must not be shown.
pub(super) fn is_secret(path: &str) -> bool {
    let is_secret = |name: &str| SECRET_WORDS.iter().any(|word| name.contains(word));
    URLS.contains(&path) || path.strip_prefix(PROPERTIES).is_some_and(is_secret)
}

/// Whether `…_FILE` may name a file with the value.
pub(super) fn may_be_in_file(path: &str) -> bool {
    let is_secret = |name: &str| SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending));
    IN_FILES.contains(&path) || path.strip_prefix(PROPERTIES).is_some_and(is_secret)
}

/// The value as it may be shown.
pub(super) fn redacted(path: &str, value: &Value) -> Value {
    match value {
        Value::String(url) if URLS.contains(&path) => Value::String(without_password(url)),
        _ if is_secret(path) => Value::String("***".to_owned()),
        value => value.clone(),
    }
}
