//! Spans to a collector: OTLP over HTTP, in its JSON form.
//!
//! What is there goes together, at most so often, and at the end what is left. A collector that
//! does not answer is told of once, and what it would have got is lost.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::http_client::http_client;
use crate::shutdown::Shutdown;
use crate::spans::Span;

/// Spans of one message, at most.
const BATCH_LEN_MAX: usize = 512;
/// How long spans are gathered for one.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector has to take it.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Where spans go, and from whom.
///
/// ```
/// use axum::{Json, Router, routing::post};
/// use retell::{shutdown::Shutdown, spans, telemetry::Collector};
/// # use tokio::net::TcpListener;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (told, mut heard) = tokio::sync::mpsc::channel(1);
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let url = format!("http://{}/v1/traces", listener.local_addr()?);
/// # let take = |Json(message): Json<serde_json::Value>| async move {
/// #     drop(told.send(message).await);
/// # };
/// let routes = Router::new().route("/v1/traces", post(take));
/// tokio::spawn(axum::serve(listener, routes).into_future());
/// let collector = Collector { url, node: "a".to_owned() };
/// let taken = spans::start(100, 16);
/// tokio::spawn(collector.run(taken, Shutdown::default()));
/// drop(spans::request(None)); // one that begins and ends
/// let message = heard.recv().await.expect("it came");
/// assert_eq!(message["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "request");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Collector {
    /// Such as `http://localhost:4318/v1/traces`.
    pub url: String,
    /// The name of the node.
    pub node: String,
}

impl Collector {
    /// Sends what comes until `end`, and then what came before.
    pub async fn run(self, mut spans: mpsc::Receiver<Span>, end: Shutdown) {
        let http = match http_client(&self.url, |builder| builder.timeout(SEND_TIMEOUT)) {
            Ok(http) => http,
            Err(error) => return tracing::error!(%error, "no traces are sent"),
        };
        let mut batch = Vec::new();
        let mut was_taken = true;
        loop {
            tokio::select! {
                count = spans.recv_many(&mut batch, BATCH_LEN_MAX) => if count == 0 { return },
                () = end.requested(), if !spans.is_closed() => {
                    spans.close();
                    continue;
                }
            }
            let message = self.message(&std::mem::take(&mut batch));
            let answer = http.post(&self.url).json(&message).send().await;
            let is_taken = answer.and_then(reqwest::Response::error_for_status);
            match is_taken {
                Ok(_) => was_taken = true,
                // The URL may hold a password.
                Err(error) if was_taken => {
                    tracing::warn!(error = %error.without_url(), "the collector takes no traces");
                    was_taken = false;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = end.requested() => {}
            }
        }
    }

    fn message(&self, spans: &[Span]) -> Value {
        let resource = [
            attribute("service.name", "retell"),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
            attribute("service.instance.id", &self.node),
        ];
        json!({ "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{
                "scope": { "name": "retell" },
                "spans": spans.iter().map(span).collect::<Vec<_>>(),
            }],
        }] })
    }
}

fn span(span: &Span) -> Value {
    // Of the protocol: a server's span and an internal one, an error and nothing to say.
    let kind = if span.is_request { 2 } else { 1 };
    let status = if span.has_failed { 2 } else { 0 };
    let attributes = span.attributes.iter().map(|(name, value)| attribute(name, value));
    let mut shown = json!({
        "traceId": format!("{:032x}", span.context.trace),
        "spanId": format!("{:016x}", span.context.span),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": nanos(span.began),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes.collect::<Vec<_>>(),
        "status": { "code": status },
    });
    if let Some(parent) = span.parent {
        shown["parentSpanId"] = format!("{parent:016x}").into();
    }
    shown
}

fn attribute(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

/// A text, as 64-bit numbers are in the JSON of protocol buffers.
fn nanos(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}
