//! What can happen to a message.
//!
//! Tags and fields are the storage format: never rename one, never change what one means.

use cqrs_es::DomainEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that happened to a message.
///
/// ```
/// use retell::events::message::MessageEvent;
///
/// let produced = MessageEvent::MessageProduced { text: "hello".into() };
/// assert_eq!(serde_json::to_string(&produced)?, r#"{"MessageProduced":{"text":"hello"}}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum MessageEvent {
    /// Somebody wrote the message.
    MessageProduced {
        /// What it says.
        text: String,
    },
    /// Somebody took note of the message.
    MessageConsumed {},
}

impl DomainEvent for MessageEvent {
    fn event_type(&self) -> String {
        let tag = match self {
            Self::MessageProduced { .. } => "MessageProduced",
            Self::MessageConsumed {} => "MessageConsumed",
        };
        tag.to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
