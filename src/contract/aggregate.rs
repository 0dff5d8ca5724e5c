//! The aggregate: a `cqrs_es::Aggregate` and what Retell must know beyond it.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Refusal;

/// An aggregate of `cqrs-es` whose commands arrive as JSON and whose events are stored as JSON.
///
/// Commands and events are ordinary, externally tagged serde enums. On the wire a command is
/// `{"type":"DepositMoney","amount":500}`; in the log an event is its tag and its content. The
/// tag must equal `DomainEvent::event_type()`; a command whose event breaks this is answered 500
/// and appends nothing.
///
/// `handle` decides: it calls `sink.write(event, self)` for each event, or returns an error, which
/// is a refusal. It runs on a clone, perhaps more than once for one command (after a lost term),
/// and within `write.decide_timeout_ms`. `apply` only assigns: it must not fail, log, or read a
/// clock, because it is run again whenever the log is read.
///
/// ```
/// use cqrs_es::DomainEvent;
/// use cqrs_es::event_sink::EventSink;
/// use retell::test::{TestFramework, check_events};
/// use retell::{Aggregate, Refusal};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, JsonSchema)]
/// enum LightCommand {
///     SwitchOn {},
///     SwitchOff {},
/// }
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
/// enum LightEvent {
///     SwitchedOn {},
///     SwitchedOff {},
/// }
///
/// impl DomainEvent for LightEvent {
///     fn event_type(&self) -> String {
///         match self {
///             Self::SwitchedOn {} => "SwitchedOn".into(),
///             Self::SwitchedOff {} => "SwitchedOff".into(),
///         }
///     }
///
///     fn event_version(&self) -> String {
///         "1".into()
///     }
/// }
///
/// #[derive(Debug, PartialEq, thiserror::Error)]
/// #[error("the light is on")]
/// struct IsOn;
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Light {
///     on: bool,
/// }
///
/// impl cqrs_es::Aggregate for Light {
///     const TYPE: &'static str = "light";
///     type Command = LightCommand;
///     type Event = LightEvent;
///     type Error = IsOn;
///     type Services = ();
///
///     async fn handle(
///         &mut self,
///         command: LightCommand,
///         _services: &(),
///         sink: &EventSink<Self>,
///     ) -> Result<(), IsOn> {
///         match command {
///             LightCommand::SwitchOn {} if self.on => return Err(IsOn),
///             LightCommand::SwitchOn {} => sink.write(LightEvent::SwitchedOn {}, self).await,
///             LightCommand::SwitchOff {} if !self.on => {} // nothing happens
///             LightCommand::SwitchOff {} => sink.write(LightEvent::SwitchedOff {}, self).await,
///         }
///         Ok(())
///     }
///
///     fn apply(&mut self, event: LightEvent) {
///         self.on = event == LightEvent::SwitchedOn {};
///     }
/// }
///
/// impl Aggregate for Light {
///     fn refusal(error: &IsOn) -> Refusal {
///         Refusal::new("is_on", error.to_string())
///     }
/// }
///
/// TestFramework::<Light>::with(())
///     .given(vec![LightEvent::SwitchedOn {}])
///     .when(LightCommand::SwitchOn {})
///     .then_expect_error(IsOn);
/// check_events::<Light>(&[LightEvent::SwitchedOn {}, LightEvent::SwitchedOff {}]);
/// ```
pub trait Aggregate:
    cqrs_es::Aggregate<
        Command: DeserializeOwned + JsonSchema + Send + 'static,
        Event: JsonSchema + 'static,
        Error: Send + Sync + 'static,
        Services: 'static,
    > + Clone
    + 'static
{
    /// The schema of the state. Raise it when the state's fields or `apply` change: stored states
    /// of another schema are rebuilt from the log instead of being read. The state's JSON must
    /// be all of it: a field that serde skips is lost when the state leaves memory.
    const SCHEMA: u32 = 1;

    /// What a client is told when `handle` refuses.
    fn refusal(error: &Self::Error) -> Refusal;

    /// How older stored events become today's. See [`Upcaster`].
    #[must_use]
    fn upcasters() -> Vec<Upcaster> {
        Vec::new()
    }

    /// The text whose hash chooses the partition of this id; `TYPE/ID` unless it is overridden.
    ///
    /// Aggregates that name the same text share a partition, hence an order. It can never be
    /// changed for an id that has events.
    #[must_use]
    fn partition_by(_id: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// Turns the stored content of one event type from one schema into the next.
///
/// An event's schema is its `event_version()`, an integer from 1. An event type whose version is
/// `3` needs upcasters from 1 and from 2; they are applied in turn until none fits. An application
/// is not built when one of them is missing, doubled, or for a type that does not exist.
///
/// ```
/// use retell::test::check_stored_events;
/// use retell::{Aggregate, Refusal, Upcaster};
/// use serde_json::Value;
/// # use cqrs_es::{DomainEvent, event_sink::EventSink};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
/// enum ParcelEvent {
///     ParcelSent { recipient: String }, // in schema 1 it was `to`
/// }
///
/// impl DomainEvent for ParcelEvent {
///     fn event_type(&self) -> String {
///         "ParcelSent".into()
///     }
///
///     fn event_version(&self) -> String {
///         "2".into()
///     }
/// }
/// #
/// # #[derive(Clone, Default, Serialize, Deserialize)]
/// # struct Parcel;
/// #
/// # impl cqrs_es::Aggregate for Parcel {
/// #     const TYPE: &'static str = "parcel";
/// #     type Command = ();
/// #     type Event = ParcelEvent;
/// #     type Error = std::fmt::Error;
/// #     type Services = ();
/// #
/// #     async fn handle(
/// #         &mut self,
/// #         (): (),
/// #         (): &(),
/// #         _: &EventSink<Self>,
/// #     ) -> Result<(), std::fmt::Error> {
/// #         Ok(())
/// #     }
/// #
/// #     fn apply(&mut self, _: ParcelEvent) {}
/// # }
///
/// impl Aggregate for Parcel {
///     // …
/// #     fn refusal(error: &std::fmt::Error) -> Refusal {
/// #         Refusal::new("never", error.to_string())
/// #     }
///
///     fn upcasters() -> Vec<Upcaster> {
///         vec![Upcaster { event_type: "ParcelSent", from: 1, upcast: to_is_the_recipient }]
///     }
/// }
///
/// fn to_is_the_recipient(mut content: Value) -> Value {
///     if let Some(fields) = content.as_object_mut()
///         && let Some(to) = fields.remove("to")
///     {
///         fields.insert("recipient".into(), to);
///     }
///     content
/// }
///
/// let sent = || ParcelEvent::ParcelSent { recipient: "Ann".into() };
/// check_stored_events::<Parcel>(&[
///     (r#"{"type":"ParcelSent","schema":"1","data":{"to":"Ann"}}"#, sent()),
///     (r#"{"type":"ParcelSent","schema":"2","data":{"recipient":"Ann"}}"#, sent()),
/// ]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Upcaster {
    /// The stored type of the event.
    pub event_type: &'static str,
    /// The schema it reads; the result has the next one.
    pub from: u32,
    /// The new content for the old one.
    pub upcast: fn(Value) -> Value,
}
