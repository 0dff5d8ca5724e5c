//! The name of one request, in its answer, its problem and the log.
//!
//! A client's own name is kept when it can stand in a header and a log line as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::contract::Position;

use super::headers::X_REQUEST_ID;

/// The longest request id that is taken from a client.
const LEN_MAX: usize = 128;

/// The id of a request: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug)]
pub(super) struct RequestId(HeaderValue);

/// Names requests that come without a name.
#[derive(Clone)]
pub(super) struct RequestIds(Arc<Numbers>);

struct Numbers {
    /// The random end of the process's id: no two processes give the same names.
    prefix: String,
    next: AtomicU64,
}

impl RequestId {
    /// The name of a message of the inbox.
    pub(super) fn of_message(place: Position) -> Self {
        let text = format!("inbox-{place}");
        Self(HeaderValue::try_from(text).expect("digits and an @ are visible ASCII"))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().expect("only visible ASCII is taken or made")
    }

    pub(super) fn into_header(self) -> HeaderValue {
        self.0
    }
}

impl RequestIds {
    pub(super) fn new(instance: Uuid) -> Self {
        let random = instance.simple().to_string().split_off(20);
        Self(Arc::new(Numbers { prefix: random, next: AtomicU64::new(1) }))
    }

    /// The client's own, if it is one, else a new one.
    pub(super) fn of(&self, headers: &HeaderMap) -> RequestId {
        match headers.get(X_REQUEST_ID) {
            Some(own) if is_id(own.as_bytes()) => RequestId(own.clone()),
            _ => self.next(),
        }
    }

    fn next(&self) -> RequestId {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let text = format!("{}-{number}", self.0.prefix);
        RequestId(HeaderValue::try_from(text).expect("hex, a dash and digits are visible ASCII"))
    }
}

fn is_id(bytes: &[u8]) -> bool {
    (1..=LEN_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(sent: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(sent).expect("header"));
        RequestIds::new(Uuid::from_u128(0xabc)).of(&headers).as_str().to_owned()
    }

    #[test]
    fn a_clients_id_is_kept_and_one_that_cannot_stand_in_a_log_line_is_not() {
        assert_eq!(id_for(b"order-7/a"), "order-7/a");
        assert_eq!(id_for(&[b'x'; 128]), "x".repeat(128));
        for sent in [&[b'x'; 129][..], b"", b"two words", "zo\u{eb}".as_bytes()] {
            assert_eq!(id_for(sent), "000000000abc-1", "{sent:?}");
        }
    }

    #[test]
    fn every_request_without_an_id_gets_another_one() {
        let ids = RequestIds::new(Uuid::from_u128(0xabc));
        assert_ne!(ids.of(&HeaderMap::new()).as_str(), ids.of(&HeaderMap::new()).as_str());
    }
}
