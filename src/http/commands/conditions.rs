//! What the headers of a command say about when it may be done: its key and the version expected.

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};

use crate::contract::Version;
use crate::events::CommandId;
use crate::write::Expected;

use super::super::headers::IDEMPOTENCY_KEY;
use super::super::problem::Problem;

/// The key under which the command may be sent again.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::BadKey("must come once".to_owned()));
    }
    // What is no ASCII becomes a character that no key has.
    let text = value.to_str().unwrap_or("\u{fffd}");
    let text = unquoted(text).ok_or_else(|| {
        Problem::BadKey("begins with a quote, but is no string of RFC 8941".to_owned())
    })?;
    let key = CommandId::from_client(&text);
    key.map(Some).map_err(|error| Problem::BadKey(error.to_string()))
}

/// The version that the aggregate must have.
///
/// Both headers together say that it must and must not exist, which nothing is.
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<Expected>, Problem> {
    let only = |name, header: &'static str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap_or_default().trim());
        if values.next().is_some() { Err(Problem::NotAVersion(header)) } else { Ok(value) }
    };
    match (only(IF_MATCH, "If-Match")?, only(IF_NONE_MATCH, "If-None-Match")?) {
        (None, None) => Ok(None),
        (Some("*"), None) => Ok(Some(Expected::Exists)),
        (Some(tag), None) => match version(tag) {
            Some(version) => Ok(Some(Expected::Version(version))),
            None => Err(Problem::NotAVersion("If-Match")),
        },
        (None, Some("*")) => Ok(Some(Expected::Version(Version::NONE))),
        (None, Some(_)) => Err(Problem::NotAVersion("If-None-Match")),
        (Some(_), Some(_)) => Err(Problem::NotAVersion("If-None-Match beside If-Match")),
    }
}

/// `"4"` as our ETag has it, also where something on the way made it weak.
fn version(tag: &str) -> Option<Version> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let is_canonical = digits == "0" || !digits.starts_with('0');
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_canonical && is_number).then(|| digits.parse().ok().map(Version)).flatten()
}

/// The text of an sf-string (RFC 8941), which the draft of the header asks for; any other text as
/// it is.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let inner = rest.strip_suffix('"')?;
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return None,
            '\\' => plain.push(chars.next().filter(|char| matches!(char, '"' | '\\'))?),
            char => plain.push(char),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn sent(headers: &[(HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, text) in headers {
            map.append(name, HeaderValue::from_bytes(text.as_bytes()).expect("header"));
        }
        map
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        let read = |text: &str| key(&sent(&[(IDEMPOTENCY_KEY, text)])).map(|key| key.expect("key"));
        for (text, id) in [("k-1", "k-1"), ("\"k-1\"", "k-1"), (r#""a\"b\\c""#, r#"a"b\c"#)] {
            assert_eq!(read(text).expect(text).as_str(), id);
        }
        assert_eq!(key(&HeaderMap::new()).expect("none"), None);
        let long = "x".repeat(256);
        for bad in ["", "\"\"", "two words", "\"", "\"k", r#""a\x""#, r#""a"b""#, "zoë", "cmd:1"] {
            assert!(matches!(read(bad), Err(Problem::BadKey(_))), "{bad}");
        }
        assert!(read(&long).is_err());
        assert!(key(&sent(&[(IDEMPOTENCY_KEY, "a"), (IDEMPOTENCY_KEY, "a")])).is_err());
    }

    #[test]
    fn a_version_is_an_etag_of_ours_or_a_star() {
        let read = |name, text: &str| expected(&sent(&[(name, text)]));
        let version = |number| Some(Expected::Version(Version(number)));
        for (text, wanted) in [
            ("\"4\"", version(4)),
            ("W/\"4\"", version(4)),
            ("\"0\"", version(0)),
            ("*", Some(Expected::Exists)),
        ] {
            assert_eq!(read(IF_MATCH, text).expect(text), wanted);
        }
        assert_eq!(read(IF_NONE_MATCH, "*").expect("star"), version(0));
        assert_eq!(expected(&HeaderMap::new()).expect("none"), None);
        let max = "\"18446744073709551616\"";
        for bad in ["4", "\"04\"", "\"\"", "\"+4\"", "\"4\", \"5\"", "\"ab12\"", "", "w/\"4\"", max]
        {
            assert!(matches!(read(IF_MATCH, bad), Err(Problem::NotAVersion("If-Match"))), "{bad}");
        }
        assert!(read(IF_NONE_MATCH, "\"4\"").is_err());
        assert!(expected(&sent(&[(IF_MATCH, "\"4\""), (IF_MATCH, "\"4\"")])).is_err());
        assert!(expected(&sent(&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")])).is_err());
    }
}
