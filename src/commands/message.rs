//! A message: it is produced once and consumed once, in this order.

use cqrs_es::event_sink::EventSink;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{Aggregate, Refusal};
use crate::events::message::MessageEvent;

/// The longest text, in characters: at most 60 KB of JSON, well within a record of any log.
pub const TEXT_CHARS_MAX: usize = 10_000;

// ---- command

/// An order to a message.
///
/// ```
/// use retell::commands::{Message, MessageCommand};
/// use retell::events::message::MessageEvent;
/// use retell::test::TestFramework;
///
/// TestFramework::<Message>::with(())
///     .given(vec![MessageEvent::MessageProduced { text: "hello".into() }])
///     .when(MessageCommand::ConsumeMessage {})
///     .then_expect_events(vec![MessageEvent::MessageConsumed {}]);
/// ```
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub enum MessageCommand {
    /// Writes the message.
    ProduceMessage {
        /// What it says.
        #[schemars(length(min = 1, max = 10_000))]
        text: String,
    },
    /// Takes note of the message.
    ConsumeMessage {},
}

// ---- error

/// Why a message refuses a command.
///
/// ```
/// use retell::commands::{Message, MessageCommand, MessageError};
/// use retell::test::TestFramework;
///
/// TestFramework::<Message>::with(())
///     .given_no_previous_events()
///     .when(MessageCommand::ConsumeMessage {})
///     .then_expect_error(MessageError::NotProduced);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It was produced before.
    #[error("a message with this id has been produced before")]
    AlreadyProduced,
    /// The text has no visible character.
    #[error("the text is empty or blank")]
    TextMissing,
    /// The text has more than [`TEXT_CHARS_MAX`] characters.
    #[error("the text must have at most {TEXT_CHARS_MAX} characters, has {0}")]
    TextTooLong(usize),
    /// There is no such message yet.
    #[error("the message has not been produced")]
    NotProduced,
    /// It was consumed before.
    #[error("the message has been consumed before")]
    AlreadyConsumed,
}

impl MessageError {
    const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyProduced => "already_produced",
            Self::TextMissing => "text_missing",
            Self::TextTooLong(_) => "text_too_long",
            Self::NotProduced => "not_produced",
            Self::AlreadyConsumed => "already_consumed",
        }
    }
}

// ---- state

/// A message as its events left it.
///
/// ```
/// use cqrs_es::Aggregate;
/// use retell::commands::{Message, MessageStatus};
/// use retell::events::message::MessageEvent;
///
/// let mut message = Message::default();
/// message.apply(MessageEvent::MessageProduced { text: "hello".into() });
/// assert_eq!(message, Message { status: MessageStatus::Produced, text: "hello".into() });
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Message {
    /// Where in its life it is.
    pub status: MessageStatus,
    /// What it says; empty before it is produced.
    pub text: String,
}

/// Where in its life a message is.
///
/// ```
/// use retell::commands::{Message, MessageStatus};
///
/// assert_eq!(Message::default().status, MessageStatus::NotProduced);
/// assert_eq!(serde_json::to_string(&MessageStatus::NotProduced)?, r#""not_produced""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// It has no event yet.
    #[default]
    NotProduced,
    /// It waits to be consumed.
    Produced,
    /// Nothing will ever happen again.
    Consumed,
}

impl cqrs_es::Aggregate for Message {
    const TYPE: &'static str = "message";
    type Command = MessageCommand;
    type Event = MessageEvent;
    type Error = MessageError;
    type Services = ();

    async fn handle(
        &mut self,
        command: MessageCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), MessageError> {
        let event = self.decide(command)?;
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: MessageEvent) {
        self.evolve(event);
    }
}

impl Aggregate for Message {
    fn refusal(error: &MessageError) -> Refusal {
        Refusal::new(error.code(), error.to_string())
    }
}

// ---- decide

impl Message {
    fn decide(&self, command: MessageCommand) -> Result<MessageEvent, MessageError> {
        match command {
            MessageCommand::ProduceMessage { text } => self.produce(text),
            MessageCommand::ConsumeMessage {} => self.consume(),
        }
    }

    fn produce(&self, text: String) -> Result<MessageEvent, MessageError> {
        if self.status != MessageStatus::NotProduced {
            return Err(MessageError::AlreadyProduced);
        }
        if text.trim().is_empty() {
            return Err(MessageError::TextMissing);
        }
        let characters = text.chars().count();
        if characters > TEXT_CHARS_MAX {
            return Err(MessageError::TextTooLong(characters));
        }
        Ok(MessageEvent::MessageProduced { text })
    }

    const fn consume(&self) -> Result<MessageEvent, MessageError> {
        match self.status {
            MessageStatus::NotProduced => Err(MessageError::NotProduced),
            MessageStatus::Produced => Ok(MessageEvent::MessageConsumed {}),
            MessageStatus::Consumed => Err(MessageError::AlreadyConsumed),
        }
    }
}

// ---- evolve

impl Message {
    fn evolve(&mut self, event: MessageEvent) {
        match event {
            MessageEvent::MessageProduced { text } => {
                self.status = MessageStatus::Produced;
                self.text = text;
            }
            MessageEvent::MessageConsumed {} => self.status = MessageStatus::Consumed,
        }
    }
}

// ---- tests

#[cfg(test)]
mod tests {
    use cqrs_es::test::{AggregateTestExecutor, TestFramework};

    use crate::test::check_events;

    use super::MessageCommand::{ConsumeMessage, ProduceMessage};
    use super::MessageEvent::{MessageConsumed, MessageProduced};
    use super::*;

    fn given(events: Vec<MessageEvent>) -> AggregateTestExecutor<Message> {
        TestFramework::<Message>::with(()).given(events)
    }

    fn produced() -> MessageEvent {
        MessageProduced { text: "hello".into() }
    }

    fn produce(text: &str) -> MessageCommand {
        ProduceMessage { text: text.into() }
    }

    /// A refused command: its code, and the whole sentence.
    fn refused(given_events: Vec<MessageEvent>, command: MessageCommand, code: &str, detail: &str) {
        let error = given(given_events).when(command).inspect_result().expect_err("a refusal");
        let refusal = Message::refusal(&error);
        assert_eq!((&*refusal.code, &*refusal.detail), (code, detail));
    }

    #[test]
    fn a_message_is_produced_and_then_consumed() {
        given(vec![]).when(produce("hello")).then_expect_events(vec![produced()]);
        given(vec![produced()])
            .when(ConsumeMessage {})
            .then_expect_events(vec![MessageConsumed {}]);
    }

    #[test]
    fn a_message_is_produced_once_even_after_it_was_consumed() {
        let detail = "a message with this id has been produced before";
        refused(vec![produced()], produce("again"), "already_produced", detail);
        let consumed = vec![produced(), MessageConsumed {}];
        refused(consumed, produce("hello"), "already_produced", detail);
    }

    #[test]
    fn a_text_without_a_visible_character_is_missing() {
        for text in ["", "   ", "\n\t"] {
            refused(vec![], produce(text), "text_missing", "the text is empty or blank");
        }
    }

    #[test]
    fn a_text_has_at_most_10_000_characters_of_any_length_in_bytes() {
        let longest = "ö".repeat(TEXT_CHARS_MAX);
        let event = MessageProduced { text: longest.clone() };
        given(vec![]).when(produce(&longest)).then_expect_events(vec![event]);
        let detail = "the text must have at most 10000 characters, has 10001";
        refused(vec![], produce(&(longest + "x")), "text_too_long", detail);
    }

    #[test]
    fn a_message_is_consumed_once_and_only_after_it_was_produced() {
        let detail = "the message has not been produced";
        refused(vec![], ConsumeMessage {}, "not_produced", detail);
        let consumed = vec![produced(), MessageConsumed {}];
        let detail = "the message has been consumed before";
        refused(consumed, ConsumeMessage {}, "already_consumed", detail);
    }

    #[test]
    fn events_are_stored_under_their_tags_and_read_back() {
        check_events::<Message>(&[produced(), MessageConsumed {}]);
    }
}
