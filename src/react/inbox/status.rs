//! What an inbox says about itself, for `GET /admin/status`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{Offset, Partition};

/// How an inbox stands.
///
/// ```
/// use retell::react::inbox::{InboxState, InboxStatus};
/// use serde_json::json;
///
/// let (state, next) = (InboxState::Following, [].into());
/// let status = InboxStatus { in_flight: 2, answered: 80, problems: 1, repeated: 0, next, state };
/// let json = serde_json::to_value(status)?;
/// assert_eq!((&json["answered"], &json["state"]), (&json!(80), &json!("following")));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct InboxStatus {
    /// Commands that are under way.
    pub in_flight: u64,
    /// Messages answered by this process, problems too.
    pub answered: u64,
    /// Of these, the ones that are problems.
    pub problems: u64,
    /// How often a command could not be done then, and was tried again.
    pub repeated: u64,
    /// By partition of the topic, the first message that is not done: of those that this process
    /// has answered messages of.
    #[serde(skip)]
    pub next: BTreeMap<Partition, Offset>,
    /// What it does.
    #[serde(flatten)]
    pub state: InboxState,
}

/// What an inbox does.
///
/// ```
/// use retell::react::inbox::InboxState;
/// use serde_json::json;
///
/// let state = InboxState::Elsewhere { reason: "node b writes".to_owned() };
/// let shown = json!({"state": "elsewhere", "reason": "node b writes"});
/// assert_eq!(serde_json::to_value(state)?, shown);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum InboxState {
    /// It has not begun.
    #[default]
    Starting,
    /// It is a member of its group and takes what comes.
    Following,
    /// It has left the group to others, because this node does not write all of the log now.
    Elsewhere {
        /// Who writes, or what is under way.
        reason: String,
    },
    /// Something does not answer; it tries again.
    Waiting {
        /// What was said.
        reason: String,
    },
    /// A person must mend a topic; it looks again from time to time.
    Refused {
        /// What is wrong, and how to mend it.
        reason: String,
    },
}
