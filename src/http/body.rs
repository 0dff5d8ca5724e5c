//! The body of a request: JSON within a limit.
//!
//! An oversized body is read and dropped for a while before it is refused, because a client that
//! is still sending when the connection closes never sees the answer.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::problem::Problem;

/// How much of an oversized body is read and dropped.
const DISCARD_LEN_MAX: usize = 16 * 1024 * 1024;

/// How long a body without end is read and dropped.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// The body's bytes.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    len_max: usize,
    timeout: Duration,
) -> Result<Bytes, Problem> {
    if waits_for_our_word(headers) && declared_len(headers).is_some_and(|len| len > len_max) {
        return Err(Problem::BodyTooLarge { max: len_max });
    }
    match tokio::time::timeout(timeout, collect(body, len_max)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::BodyTooSlow { ms: timeout.as_millis() }),
    }
}

/// Reads and drops the body of a request that is refused by its head, as long as that is quick.
pub(super) async fn pass_over(headers: &HeaderMap, body: Body) {
    if !waits_for_our_word(headers) {
        drop(tokio::time::timeout(DISCARD_TIMEOUT, discard(body, 0)).await);
    }
}

/// Refuses a body that is not JSON by its headers.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    expect(headers, "application/json")
}

/// Refuses a body that is not of this type by its headers.
pub(super) fn expect(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let not = |found: String| Problem::MediaType { wanted, found };
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.as_bytes());
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(not("without a Content-Encoding".to_owned()));
    }
    let Some(found) = headers.get(CONTENT_TYPE) else {
        return Err(not("the request has no Content-Type".to_owned()));
    };
    let text = found.to_str().unwrap_or_default();
    if is_of(text, wanted) {
        return Ok(());
    }
    let found: String = text.chars().take(100).collect();
    Err(not(format!("the request's Content-Type is `{found}`")))
}

async fn collect(mut body: Body, len_max: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        // Trailers are no part of the content.
        let Ok(data) = frame.map_err(|_| Problem::BodyBroken)?.into_data() else { continue };
        len += data.len();
        if len > len_max {
            discard(body, len).await;
            return Err(Problem::BodyTooLarge { max: len_max });
        }
        // Nearly every body comes in one piece, which is then not copied.
        if first.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

async fn discard(mut body: Body, mut len: usize) {
    while len <= DISCARD_LEN_MAX {
        match body.frame().await {
            Some(Ok(frame)) => len += frame.into_data().map_or(0, |data| data.len()),
            Some(Err(_)) | None => return,
        }
    }
}

/// `Expect: 100-continue`: nothing is sent before we read, so a refusal need not read anything.
pub(super) fn waits_for_our_word(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn declared_len(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The type, perhaps with `charset=utf-8`, which is what JSON is anyway.
fn is_of(content_type: &str, wanted: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_of = parts.next().is_some_and(|part| part.eq_ignore_ascii_case(wanted));
    is_of
        && parts.filter(|part| !part.is_empty()).all(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use futures_util::stream;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pieces(pieces: &[&'static str]) -> Body {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece)).collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together_up_to_the_limit() {
        let read = |body| read(&EMPTY, body, 6, SECOND);
        assert_eq!(read(pieces(&["ab", "", "cd", "ef"])).await.expect("body"), "abcdef");
        assert_eq!(read(Body::empty()).await.expect("body"), "");
        let refused = read(pieces(&["abc", "defg"])).await;
        assert!(matches!(refused, Err(Problem::BodyTooLarge { max: 6 })));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_taken_for_a_short_one() {
        let parts = [Ok("{}"), Err(std::io::Error::other("gone"))];
        let refused = read(&EMPTY, Body::from_stream(stream::iter(parts)), 6, SECOND).await;
        assert!(matches!(refused, Err(Problem::BodyBroken)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_ends_the_request() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = read(&EMPTY, never, 6, SECOND).await;
        assert!(matches!(refused, Err(Problem::BodyTooSlow { ms: 1_000 })));
    }

    #[tokio::test]
    async fn a_client_that_asks_first_is_refused_without_reading() {
        let headers = HeaderMap::from_iter([
            (EXPECT, HeaderValue::from_static("100-Continue")),
            (CONTENT_LENGTH, HeaderValue::from_static("7")),
        ]);
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = read(&headers, never, 6, SECOND).await;
        assert!(matches!(refused, Err(Problem::BodyTooLarge { max: 6 })));
    }

    #[test]
    fn a_body_is_json_by_its_headers_or_refused_with_what_it_is() {
        let check = |name, text: &str| {
            expect_json(&HeaderMap::from_iter([(name, HeaderValue::from_str(text).expect("text"))]))
        };
        assert!(check(CONTENT_TYPE, "application/json").is_ok());
        assert!(check(CONTENT_TYPE, "Application/JSON; Charset=\"UTF-8\"").is_ok());
        for text in ["text/plain", "application/json; charset=latin1", "application/jsonp", ""] {
            let refused = check(CONTENT_TYPE, text).expect_err(text).to_string();
            assert!(refused.contains("application/json") && refused.contains(text), "{refused}");
        }
        assert!(check(CONTENT_ENCODING, "gzip").is_err());
        assert!(expect_json(&EMPTY).is_err());
    }

    static EMPTY: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(HeaderMap::new);
}
