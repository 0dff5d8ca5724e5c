//! One line on its way: sent, and sent again where nothing was done.
//!
//! What may have been done is sent again only under a key, which makes it safe.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde::Serialize;

use crate::cli::service::{Answer, Client, NoAnswer};
use crate::contract::Version;

use super::input::Line;

/// How often a line is sent again.
const RETRIES_MAX: u32 = 10;

/// The longest wait that a service may ask for; a longer one needs a person, not patience.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// How long to wait for a service that is not there.
const CONNECT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What became of one attempt.
#[derive(Clone, Debug)]
pub(super) enum Attempt {
    /// It was done.
    Done,
    /// It was not done, or nobody knows.
    Failed(Failed),
    /// It was not done, and may be after this time.
    Again(Duration, Failed),
}

/// Why a line was not done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Failed {
    /// The status, if there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    /// The answer's code, or one of ours.
    pub(super) code: String,
    /// One sentence.
    pub(super) detail: String,
}

/// What became of a line.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) line: Line,
    pub(super) outcome: Result<(), Failed>,
    /// How often it was sent again.
    pub(super) retries: u32,
}

/// Whatever takes a line.
pub(super) trait Transport {
    /// Sends it once.
    async fn attempt(&self, line: &Line) -> Attempt;
}

/// Sends a line until it is done or has failed for good.
pub(super) async fn deliver(transport: &impl Transport, line: Line) -> Delivered {
    let mut retries = 0;
    loop {
        let outcome = match transport.attempt(&line).await {
            Attempt::Done => Ok(()),
            Attempt::Again(delay, _) if retries < RETRIES_MAX => {
                retries += 1;
                tokio::time::sleep(delay).await;
                continue;
            }
            Attempt::Failed(failed) | Attempt::Again(_, failed) => Err(failed),
        };
        return Delivered { line, outcome, retries };
    }
}

impl Transport for Client {
    async fn attempt(&self, line: &Line) -> Attempt {
        let url = self.url(&line.route);
        let headers = headers(line);
        match self.ask_with(Method::POST, url, Some(line.command.clone()), headers).await {
            Ok(answer) if answer.status == StatusCode::OK => Attempt::Done,
            Ok(answer) => refused(&answer),
            Err(error @ NoAnswer::Unreachable { .. }) => {
                let failed = Failed::without_answer("unreachable", &error);
                Attempt::Again(CONNECT_RETRY_DELAY, failed)
            }
            Err(error) => {
                let failed = Failed::without_answer("outcome_unknown", &error);
                match line.key {
                    Some(_) => Attempt::Again(CONNECT_RETRY_DELAY, failed),
                    None => Attempt::Failed(failed),
                }
            }
        }
    }
}

fn headers(line: &Line) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(key) = &line.key {
        // As a string of RFC 8941: a key may begin with a quote.
        let key = key.as_str().replace('\\', r"\\").replace('"', r#"\""#);
        headers.insert("idempotency-key", text(format!("\"{key}\"")));
    }
    match line.expected_version {
        Some(Version::NONE) => drop(headers.insert(IF_NONE_MATCH, text("*".to_owned()))),
        Some(version) => drop(headers.insert(IF_MATCH, text(format!("\"{version}\"")))),
        None => {}
    }
    headers
}

fn text(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("keys and versions are visible ASCII")
}

fn refused(answer: &Answer) -> Attempt {
    let failed = match answer.problem() {
        NoAnswer::Problem(problem) => {
            let (status, code, detail) = (problem.status, problem.code, problem.detail);
            Failed { status: Some(status), code, detail }
        }
        error => Failed {
            status: Some(answer.status.as_u16()),
            ..Failed::without_answer("stranger", &error)
        },
    };
    match answer.retry_after() {
        // A service says so only where it is safe: nothing was done, or there is a key.
        Some(delay) if is_passing(answer.status) && delay <= RETRY_AFTER_MAX => {
            Attempt::Again(delay, failed)
        }
        _ => Attempt::Failed(failed),
    }
}

const fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

impl Failed {
    fn without_answer(code: &str, error: &NoAnswer) -> Self {
        Self { status: None, code: code.to_owned(), detail: error.to_string() }
    }
}
