//! What a URI names: decoded from its bytes, checked, and nothing ignored.
//!
//! Paths are read from their end, so that whatever the routes are nested in does not matter.

use std::borrow::Cow;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::contract::{InvalidKey, Key};
use crate::events::CommandId;

use super::problem::Problem;

/// The last two segments of a path: a name, and an id or key under it.
pub(super) fn name_and_key<'a>(
    uri: &'a Uri,
    what: &'static str,
) -> Result<(Cow<'a, str>, Key), Problem> {
    name_and_key_of(uri.path(), what)
}

/// The same, of the two segments before the last one.
pub(super) fn name_and_key_before_last(uri: &Uri) -> Result<(Cow<'_, str>, Key), Problem> {
    name_and_key_of(split(uri.path()).0, "id")
}

/// The last segment of a path, decoded.
pub(super) fn last_decoded<'a>(uri: &'a Uri, what: &'static str) -> Result<Cow<'a, str>, Problem> {
    decoded(last(uri), what)
}

fn name_and_key_of<'a>(path: &'a str, what: &'static str) -> Result<(Cow<'a, str>, Key), Problem> {
    let (rest, key) = split(path);
    let (_, name) = split(rest);
    let key = Key::new(&decoded(key, what)?).map_err(|error| Problem::BadId { what, error })?;
    Ok((decoded(name, "name")?, key))
}

/// The last three segments of a path: a name, an id under it, and a command's id.
pub(super) fn name_key_and_command(uri: &Uri) -> Result<(Cow<'_, str>, Key, CommandId), Problem> {
    let (rest, command) = split(uri.path());
    let command = decoded(command, "command's id")?;
    let command = CommandId::from_client(&command).map_err(Problem::BadCommandId)?;
    let (name, key) = name_and_key_of(rest, "id")?;
    Ok((name, key, command))
}

/// The last three segments of a path, which are names.
pub(super) fn last_three(uri: &Uri) -> Result<[Cow<'_, str>; 3], Problem> {
    let (rest, third) = split(uri.path());
    let (rest, second) = split(rest);
    let (_, first) = split(rest);
    Ok([decoded(first, "name")?, decoded(second, "name")?, decoded(third, "name")?])
}

/// The last segment of a path, which is a name.
pub(super) fn name(uri: &Uri) -> Result<Cow<'_, str>, Problem> {
    decoded(last(uri), "name")
}

/// The last segment of a path but one, which is a name.
pub(super) fn name_before_last(uri: &Uri) -> Result<Cow<'_, str>, Problem> {
    decoded(before_last(uri), "name")
}

/// The last segment of a path but one, as it is.
pub(super) fn before_last(uri: &Uri) -> &str {
    split(split(uri.path()).0).1
}

/// The last segment of a path, as it is.
pub(super) fn last(uri: &Uri) -> &str {
    split(uri.path()).1
}

/// The last segment of a path but one, as it is.
pub(super) fn last_but_one(uri: &Uri) -> &str {
    split(split(uri.path()).0).1
}

/// Refuses parameters where there are none: a mistyped one must not be ignored.
pub(super) fn no_parameters(uri: &Uri) -> Result<(), Problem> {
    let Some(query) = uri.query().filter(|query| !query.is_empty()) else { return Ok(()) };
    let first = query.split(['&', '=']).next().unwrap_or_default();
    let name = percent_decode_str(first).decode_utf8_lossy();
    Err(Problem::UnknownParameter(name.chars().take(100).collect()))
}

/// The parameters of a query, decoded as browsers encode them.
pub(super) fn parameters(
    uri: &Uri,
) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), Problem>> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((form_decoded(name)?, form_decoded(value)?))
    })
}

fn form_decoded(text: &str) -> Result<Cow<'_, str>, Problem> {
    if !text.contains('+') {
        return decoded(text, "query");
    }
    decoded(&text.replace('+', " "), "query").map(|text| Cow::Owned(text.into_owned()))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A segment of a path, decoded.
pub(super) fn decoded<'a>(segment: &'a str, what: &'static str) -> Result<Cow<'a, str>, Problem> {
    let is_escape =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if segment.split('%').skip(1).any(|rest| !is_escape(rest)) {
        return Err(Problem::BadPercent { what });
    }
    let text = percent_decode_str(segment).decode_utf8();
    text.map_err(|_| Problem::BadId { what, error: InvalidKey::NotUtf8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Result<(String, String), Problem> {
        let uri = path.parse().expect("uri");
        let (name, key) = name_and_key(&uri, "id")?;
        Ok((name.into_owned(), key.to_string()))
    }

    fn refusal(path: &str) -> String {
        read(path).expect_err(path).to_string()
    }

    #[test]
    fn the_last_two_segments_are_decoded_by_bytes() {
        let ann = ("account".to_owned(), "ann".to_owned());
        assert_eq!(read("/commands/account/ann").expect("path"), ann);
        assert_eq!(read("/base/commands/account/ann").expect("path"), ann);
        assert_eq!(read("/commands/account/Zo%C3%AB%20%23+1").expect("path").1, "Zoë #+1");
        assert_eq!(read("/commands/account/100%25").expect("path").1, "100%");
        assert_eq!(read("/commands/account/...").expect("path").1, "...");
    }

    #[test]
    fn an_id_that_is_none_says_why() {
        assert_eq!(refusal("/c/a/a%2Fb"), "the id must not contain `/`");
        assert_eq!(refusal("/c/a/%2e%2E"), "the id must not be `.` or `..`");
        assert_eq!(
            refusal("/c/a/a%00"),
            "the id must not contain control characters, has one at byte 1"
        );
        assert_eq!(refusal("/c/a/%FF"), "the id must be UTF-8");
        let long = format!("/c/a/{}", "x".repeat(10_000));
        assert_eq!(refusal(&long), "the id must have at most 200 bytes, has 10000");
        for path in ["/c/a/100%", "/c/a/%zz", "/c/a/%2", "/c/a/%+1"] {
            assert!(refusal(path).contains("two hex digits"), "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded_as_browsers_encode_them() {
        let uri = "/p?a.gte=1&b=x+y%2B%26&&c&d=".parse().expect("uri");
        let read = parameters(&uri).collect::<Result<Vec<_>, _>>().expect("parameters");
        let read: Vec<_> = read.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(read, [("a.gte", "1"), ("b", "x y+&"), ("c", ""), ("d", "")]);
        let bad = "/p?a=%4".parse().expect("uri");
        assert!(parameters(&bad).any(|read| read.is_err()));
    }

    #[test]
    fn a_parameter_is_refused_by_its_name() {
        let refused = |uri: &str| no_parameters(&uri.parse().expect("uri")).err();
        assert!(refused("/projections").is_none());
        assert!(refused("/projections?").is_none());
        let named = refused("/projections?li%6Dit=3&x").expect("refused").to_string();
        assert!(named.contains("`limit`"), "{named}");
    }
}
