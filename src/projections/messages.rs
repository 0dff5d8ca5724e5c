//! The view `messages`: a message and whether it was consumed, under the message's id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::Message;
use crate::contract::{Projection, Recorded, Time, Version};
use crate::events::message::MessageEvent;

/// Folds the events of a message into its [`MessageView`].
///
/// ```
/// use retell::events::message::MessageEvent;
/// use retell::projections::{MessageView, MessageViewStatus, Messages};
/// use retell::test::{ProjectionTest, time_of_event};
/// # use retell::Version;
///
/// let view = MessageView {
///     id: "m1".into(),
///     text: "hello".into(),
///     status: MessageViewStatus::Produced,
///     produced_at: time_of_event(1),
///     consumed_at: None,
///     version: Version(1),
/// };
/// let produced = MessageEvent::MessageProduced { text: "hello".into() };
/// ProjectionTest::of(Messages).given("m1", [produced]).then_view(Some(view));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Messages;

/// A message as readers see it.
///
/// ```
/// use retell::projections::{MessageView, MessageViewStatus};
///
/// let json = r#"{"id":"m1","text":"hello","status":"produced",
///     "produced_at":"2026-11-22T10:00:00.000Z","consumed_at":null,"version":1}"#;
/// let view: MessageView = serde_json::from_str(json)?;
/// assert_eq!((view.status, view.consumed_at), (MessageViewStatus::Produced, None));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct MessageView {
    /// The id of the message.
    pub id: String,
    /// What it says.
    pub text: String,
    /// Whether it was consumed.
    pub status: MessageViewStatus,
    /// When it was produced.
    pub produced_at: Time,
    /// When it was consumed; `null` until then.
    pub consumed_at: Option<Time>,
    /// How many events it has had.
    pub version: Version,
}

/// Whether a message was consumed.
///
/// ```
/// use retell::projections::MessageViewStatus;
///
/// assert_eq!(serde_json::to_string(&MessageViewStatus::Consumed)?, r#""consumed""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageViewStatus {
    /// Not yet.
    Produced,
    /// It was.
    Consumed,
}

impl Projection for Messages {
    type Aggregate = Message;
    type View = MessageView;
    const NAME: &'static str = "messages";
    const REVISION: u32 = 2;
    const INDEXES: &'static [&'static [&'static str]] =
        &[&["produced_at"], &["status", "produced_at"]];

    fn fold(
        &self,
        view: Option<MessageView>,
        event: &MessageEvent,
        recorded: &Recorded<'_>,
    ) -> Option<MessageView> {
        match event {
            MessageEvent::MessageProduced { text } => Some(MessageView {
                id: recorded.id().to_owned(),
                text: text.clone(),
                status: MessageViewStatus::Produced,
                produced_at: recorded.time(),
                consumed_at: None,
                version: recorded.version(),
            }),
            MessageEvent::MessageConsumed {} => Some(MessageView {
                status: MessageViewStatus::Consumed,
                consumed_at: Some(recorded.time()),
                version: recorded.version(),
                ..view? // a message begins with MessageProduced
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::events::message::MessageEvent::{MessageConsumed, MessageProduced};
    use crate::test::{ProjectionTest, time_of_event};

    use super::*;

    fn produced() -> MessageEvent {
        MessageProduced { text: "hello".into() }
    }

    fn new_view() -> MessageView {
        MessageView {
            id: "m1".into(),
            text: "hello".into(),
            status: MessageViewStatus::Produced,
            produced_at: time_of_event(1),
            consumed_at: None,
            version: Version(1),
        }
    }

    #[test]
    fn a_produced_message_shows_its_text() {
        ProjectionTest::of(Messages).given("m1", [produced()]).then_view(Some(new_view()));
    }

    #[test]
    fn a_consumed_message_shows_when_that_was() {
        ProjectionTest::of(Messages).given("m1", [produced()]).when(MessageConsumed {}).then_view(
            Some(MessageView {
                status: MessageViewStatus::Consumed,
                consumed_at: Some(time_of_event(2)),
                version: Version(2),
                ..new_view()
            }),
        );
    }

    #[test]
    fn a_client_gets_exactly_these_fields() {
        let json = serde_json::to_string(&new_view()).expect("JSON");
        let expected = r#"{"id":"m1","text":"hello","status":"produced","#.to_owned()
            + r#""produced_at":"2026-01-01T00:00:00.000Z","consumed_at":null,"version":1}"#;
        assert_eq!(json, expected);
    }
}
