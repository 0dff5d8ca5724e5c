//! An aggregate whose state has a schema that a test chooses, and that may not decode.

use std::sync::atomic::{AtomicU32, Ordering};

use cqrs_es::DomainEvent;
use cqrs_es::event_sink::EventSink;
use retell::{Aggregate, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The schema whose states do not decode.
pub(crate) static BROKEN_SCHEMA: AtomicU32 = AtomicU32::new(0);

/// The schema whose states of more than ten pieces have no JSON.
pub(crate) const UNSTORABLE_SCHEMA: u32 = 4;

/// From schema 2 on every piece counts twice.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Stock<const SCHEMA: u32> {
    #[serde(deserialize_with = "pieces::<_, SCHEMA>", serialize_with = "json::<_, SCHEMA>")]
    pieces: u32,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) enum StockCommand {
    Add {
        pieces: u32,
    },
    /// Refused, saying how many there are.
    Count {},
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) enum StockEvent {
    Added { pieces: u32 },
}

#[derive(Debug, thiserror::Error)]
#[error("{0} pieces")]
pub(crate) struct Counted(pub(crate) u32);

/// The schema whose states never decode.
pub(crate) const UNDECODABLE_SCHEMA: u32 = 6;

fn pieces<'de, D: Deserializer<'de>, const SCHEMA: u32>(json: D) -> Result<u32, D::Error> {
    if SCHEMA == UNDECODABLE_SCHEMA || BROKEN_SCHEMA.load(Ordering::SeqCst) == SCHEMA {
        return Err(serde::de::Error::custom("a state of another shape"));
    }
    u32::deserialize(json)
}

fn json<S: Serializer, const SCHEMA: u32>(pieces: &u32, json: S) -> Result<S::Ok, S::Error> {
    if SCHEMA == UNSTORABLE_SCHEMA && *pieces > 10 {
        return Err(serde::ser::Error::custom("too many to be told"));
    }
    json.serialize_u32(*pieces)
}

impl DomainEvent for StockEvent {
    fn event_type(&self) -> String {
        "Added".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl<const SCHEMA: u32> cqrs_es::Aggregate for Stock<SCHEMA> {
    const TYPE: &'static str = "stock";
    type Command = StockCommand;
    type Event = StockEvent;
    type Error = Counted;
    type Services = ();

    async fn handle(
        &mut self,
        command: StockCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Counted> {
        match command {
            StockCommand::Add { pieces } => sink.write(StockEvent::Added { pieces }, self).await,
            StockCommand::Count {} => return Err(Counted(self.pieces)),
        }
        Ok(())
    }

    fn apply(&mut self, StockEvent::Added { pieces }: StockEvent) {
        self.pieces += if SCHEMA == 2 { 2 * pieces } else { pieces };
    }
}

impl<const N: u32> Aggregate for Stock<N> {
    const SCHEMA: u32 = N;

    fn refusal(counted: &Counted) -> Refusal {
        Refusal::new("counted", counted.to_string())
    }
}
