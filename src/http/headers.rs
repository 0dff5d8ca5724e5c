//! The headers of requests and answers, each read strictly: what is not understood is refused,
//! except where HTTP says to ignore it (`traceparent`, `Prefer`, a request id).

use std::str::FromStr;
use std::time::Duration;

use axum::http::header::{ACCEPT, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::contract::{Positions, Version};
use crate::events::Metadata;

use super::problem::Problem;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
pub(super) const RETELL_COMMAND_ID: HeaderName = HeaderName::from_static("retell-command-id");
pub(super) const RETELL_POSITION: HeaderName = HeaderName::from_static("retell-position");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const X_CAUSATION_ID: HeaderName = HeaderName::from_static("x-causation-id");
pub(super) const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `application/json`, the type of every answer that is no problem.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `application/x-ndjson`, one JSON text a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// `text/event-stream`, events as they come.
const EVENT_STREAM: &str = "text/event-stream";

pub(super) const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The longest correlation or causation id.
const ID_LEN_MAX: usize = 255;

/// Refuses a client that does not take JSON, before anything is done for it.
pub(super) fn accept_json(headers: &HeaderMap) -> Result<(), Problem> {
    accept(headers, "application/json")
}

/// Refuses a client that does not take this type of `application`.
pub(super) fn accept(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let mut best = None;
    for value in headers.get_all(ACCEPT) {
        let ranges = value.to_str().unwrap_or_default().split(',');
        let fits = ranges.filter_map(|range| named_by(range, wanted));
        best = fits.chain(best).max_by_key(|&(precision, _)| precision);
    }
    match best {
        Some((_, accepted)) if accepted => Ok(()),
        None if !headers.contains_key(ACCEPT) => Ok(()),
        _ => Err(Problem::NotAcceptable(wanted)),
    }
}

/// Whether a client asks for events as they come instead of what is there now.
pub(super) fn wants_events(headers: &HeaderMap) -> bool {
    names(headers, EVENT_STREAM)
}

/// Whether a client asks for a page to look at, as browsers do.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    names(headers, "text/html") && !names(headers, "application/json")
}

/// Whether Accept has this type by its name.
fn names(headers: &HeaderMap, wanted: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|text| text.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        parts.next().is_some_and(|range| range.eq_ignore_ascii_case(wanted))
            && !parts.any(is_refused)
    })
}

/// What travels with a command into its record.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, Problem> {
    Ok(Metadata {
        correlation_id: id(headers, &X_CORRELATION_ID, "X-Correlation-Id")?,
        causation_id: id(headers, &X_CAUSATION_ID, "X-Causation-Id")?,
        actor: None,
        traceparent: traceparent(headers),
        ..Metadata::default()
    })
}

/// The positions that a query waits for.
pub(super) fn positions(headers: &HeaderMap) -> Result<Positions, Problem> {
    let mut all = Positions::default();
    for value in headers.get_all(RETELL_POSITION) {
        let text = value.to_str().unwrap_or("\u{fffd}");
        Positions::from_str(text)?.iter().for_each(|position| all.add(position));
    }
    Ok(all)
}

/// How long the client prefers to wait, in whole seconds (RFC 7240).
pub(super) fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|text| text.split(','));
    let wait = preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"'))
    });
    wait?.parse().ok().map(Duration::from_secs)
}

/// Whether the client has what this ETag names.
pub(super) fn none_match(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|text| text.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// A text that we made and that has visible characters only.
pub(super) fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("the texts made here are visible ASCII")
}

/// The version as an ETag.
pub(super) fn version_tag(version: Version) -> HeaderValue {
    value(format!("\"{version}\""))
}

/// How exactly a range of Accept names a type of `application`, and whether it takes it.
fn named_by(range: &str, wanted: &str) -> Option<(u8, bool)> {
    let mut parts = range.split(';').map(str::trim);
    let precision = match parts.next()?.to_ascii_lowercase().as_str() {
        range if range == wanted => 3,
        "application/*" => 2,
        "*/*" => 1,
        _ => return None,
    };
    let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let refused = quality.is_some_and(|quality| quality.parse() == Ok(0.0));
    Some((precision, !refused))
}

fn id(
    headers: &HeaderMap,
    header: &HeaderName,
    name: &'static str,
) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let fits = (1..=ID_LEN_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(text) if fits && values.next().is_none() => Ok(Some(text.to_owned())),
        _ => {
            let detail = "must come once and have 1 to 255 visible ASCII characters";
            Err(Problem::BadHeader { name, detail })
        }
    }
}

/// A broken trace is no reason to refuse a command; the W3C says to go on without it.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let text = values.next()?.to_str().ok()?;
    (values.next().is_none() && is_traceparent(text)).then(|| text.to_owned())
}

/// `00-<trace id: 32 hex>-<parent id: 16 hex>-<flags: 2 hex>`; later versions may go on after it.
fn is_traceparent(text: &str) -> bool {
    const LEN: usize = 55;
    const LEN_MAX: usize = 512;
    let (Some(head), Some(rest)) = (text.get(..LEN), text.get(LEN..)) else { return false };
    let parts: Vec<&str> = head.split('-').collect();
    let &[version, trace, parent, flags] = parts.as_slice() else { return false };
    let hex = |part: &str, len| {
        part.len() == len && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let ends =
        if version == "00" { rest.is_empty() } else { rest.is_empty() || rest.starts_with('-') };
    hex(version, 2)
        && version != "ff"
        && ends
        && text.len() <= LEN_MAX
        && hex(trace, 32)
        && !zero(trace)
        && hex(parent, 16)
        && !zero(parent)
        && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let value = |text: &&str| HeaderValue::from_bytes(text.as_bytes()).expect("header");
        values.iter().map(|text| (name.clone(), value(text))).collect()
    }

    #[test]
    fn json_is_refused_only_to_clients_that_say_so() {
        let accepted = |values: &[&str]| accept_json(&sent(&ACCEPT, values)).is_ok();
        assert!(accepted(&[]));
        assert!(accepted(&["*/*"]));
        assert!(accepted(&["text/html, application/*;q=0.5"]));
        assert!(accepted(&["text/html", "Application/JSON"]));
        assert!(accepted(&["application/json, */*;q=0"]));
        for values in [
            &["text/event-stream"][..],
            &["application/json;q=0, */*"],
            &["*/*; q=0.0"],
            &[""],
            &["text/html", "image/png"],
        ] {
            assert!(!accepted(values), "{values:?}");
        }
    }

    #[test]
    fn events_are_for_clients_that_ask_for_them() {
        let wants = |values: &[&str]| wants_events(&sent(&ACCEPT, values));
        assert!(wants(&["text/event-stream"]));
        assert!(wants(&["application/json;q=0.5, Text/Event-Stream; q=1"]));
        for values in [&[][..], &["*/*"], &["text/*"], &["text/event-stream;q=0"]] {
            assert!(!wants(values), "{values:?}");
        }
    }

    #[test]
    fn an_id_is_visible_short_and_comes_once() {
        let long = "x".repeat(256);
        for values in [&[""][..], &["two words"], &["zoë"], &[&long], &["a", "b"]] {
            assert!(metadata(&sent(&X_CORRELATION_ID, values)).is_err(), "{values:?}");
            assert!(metadata(&sent(&X_CAUSATION_ID, values)).is_err(), "{values:?}");
        }
        let read = metadata(&sent(&X_CORRELATION_ID, &["order-7"])).expect("metadata");
        assert_eq!(read.correlation_id.as_deref(), Some("order-7"));
        assert_eq!(read.causation_id, None);
    }

    #[test]
    fn a_trace_that_is_none_is_ignored() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = |values: &[&str]| {
            metadata(&sent(&TRACEPARENT, values)).expect("never refused").traceparent
        };
        assert_eq!(read(&[good]).as_deref(), Some(good));
        assert!(read(&["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"]).is_some());
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
        assert_eq!(read(&[good, good]), None);
    }

    #[test]
    fn positions_of_all_lines_are_one_list() {
        let read = |values: &[&str]| positions(&sent(&RETELL_POSITION, values));
        assert_eq!(read(&["5@1234, 6@77", "5@7"]).expect("positions").to_string(), "5@1234, 6@77");
        assert!(read(&[]).expect("none").is_empty());
        for bad in ["", "5", "5@1,", "5@x", "5@1 6@2", "ä@1"] {
            assert!(matches!(read(&[bad]), Err(Problem::BadPosition(_))), "{bad}");
        }
    }

    #[test]
    fn a_preferred_wait_is_whole_seconds_among_other_preferences() {
        let read = |values: &[&str]| preferred_wait(&sent(&PREFER, values));
        assert_eq!(read(&["respond-async, wait=10"]), Some(Duration::from_secs(10)));
        assert_eq!(read(&["handling=lenient", "Wait=\"3\"; x=1"]), Some(Duration::from_secs(3)));
        for ignored in ["wait", "wait=soon", "wait=-1", "wait=1.5", "waiting=3"] {
            assert_eq!(read(&[ignored]), None, "{ignored}");
        }
    }

    #[test]
    fn an_etag_matches_in_a_list_and_weakly() {
        let matches = |text: &str| none_match(&sent(&IF_NONE_MATCH, &[text]), "\"ab\"");
        assert!(matches("\"ab\""));
        assert!(matches("\"cd\", W/\"ab\""));
        assert!(matches("*"));
        assert!(!matches("\"abc\""));
        assert!(!matches("ab"));
    }
}
