//! What clients asked and what they were answered, each with the time it began and ended.
//!
//! Times are those of this machine's wall clock, which the broker's log times come from too.

use std::sync::Mutex;

use retell::adapters::SystemClock;
use retell::ports::Clock;
use retell::{Position, Time};
use serde_json::{Value, json};

use crate::support::app::Answer;

/// Every call of a test, in the order in which they began.
#[derive(Default)]
pub(super) struct History(Mutex<Vec<Call>>);

/// A command that was sent once. A retry is another call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The correlation id: of this call alone.
    pub(super) id: String,
    pub(super) request: Request,
    pub(super) begun: Time,
    /// None while there is no answer yet.
    pub(super) ended: Option<Time>,
    pub(super) outcome: Outcome,
}

/// What a retry sends again.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) account: String,
    pub(super) order: Order,
    /// The Idempotency-Key.
    pub(super) key: Option<String>,
    /// The version of `If-Match`.
    pub(super) expected: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Open,
    Deposit(i64),
    Withdraw(i64),
}

/// What a call was answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Done {
        version: u64,
        position: Position,
        /// Their ids.
        events: Vec<String>,
        replayed: bool,
    },
    Refused {
        code: String,
        detail: String,
        replayed: bool,
    },
    /// Another version than was expected.
    Differs {
        current: u64,
    },
    /// Said not to be done, whatever became of other calls with the same key.
    NotDone {
        status: u16,
        code: String,
    },
    /// 504, or no answer at all.
    Unknown,
    /// What no client should ever be answered here.
    Wrong {
        status: u16,
        text: String,
    },
}

impl History {
    /// Notes that a call begins, and gives it its id. Whatever is in the log was noted before.
    pub(super) fn begin(&self, request: &Request) -> String {
        let mut calls = self.0.lock().expect("no panic while it is held");
        let id = format!("call-{}", calls.len());
        calls.push(Call {
            id: id.clone(),
            request: request.clone(),
            begun: SystemClock.now(),
            ended: None,
            outcome: Outcome::Unknown,
        });
        id
    }

    /// Notes the answer of a call.
    pub(super) fn end(&self, id: &str, outcome: Outcome) {
        let nth: usize = id.strip_prefix("call-").and_then(|nth| nth.parse().ok()).expect("ours");
        let call = &mut self.0.lock().expect("no panic while it is held")[nth];
        (call.ended, call.outcome) = (Some(SystemClock.now()), outcome);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.0.lock().expect("no panic while it is held").clone()
    }
}

impl Order {
    pub(super) fn json(self) -> Value {
        match self {
            Self::Open => json!({"type": "OpenAccount", "owner": "Ann"}),
            Self::Deposit(amount) => json!({"type": "DepositMoney", "amount": amount}),
            Self::Withdraw(amount) => json!({"type": "WithdrawMoney", "amount": amount}),
        }
    }
}

impl Outcome {
    /// Reads an answer; none is `Unknown`.
    pub(super) fn of(answer: Option<&Answer>) -> Self {
        let Some(answer) = answer else { return Self::Unknown };
        let json = answer.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let replayed = answer.headers.contains_key("idempotency-replayed");
        match (answer.status, text("code").as_str()) {
            (200, _) => Self::Done {
                version: json["version"].as_u64().expect("a version"),
                position: text("position").parse().expect("a position"),
                events: ids_of(&json["events"]),
                replayed,
            },
            (422, code @ ("insufficient_funds" | "already_open" | "not_open")) => {
                Self::Refused { code: code.to_owned(), detail: text("detail"), replayed }
            }
            (412, "version_differs") => {
                Self::Differs { current: json["current_version"].as_u64().expect("a version") }
            }
            (status @ 503, code) | (status @ 409, code @ "in_flight") => {
                Self::NotDone { status, code: code.to_owned() }
            }
            (504, "outcome_unknown") => Self::Unknown,
            (status, _) => Self::Wrong { status, text: json.to_string() },
        }
    }

    /// Whether it is the outcome of its key: what every further call with that key is answered.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Refused { .. })
    }
}

fn ids_of(events: &Value) -> Vec<String> {
    let events = events.as_array().expect("a list").iter();
    events.map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}
