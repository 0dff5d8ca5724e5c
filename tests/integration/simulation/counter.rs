//! The aggregate of the simulation: a counter between 0 and 3, whose events say which they are.

use std::time::Duration;

use cqrs_es::DomainEvent;
use cqrs_es::event_sink::EventSink;
use retell::{Aggregate, Key, LinkedProjection, Projection, Recorded, Refusal, Sources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The highest level.
const LEVEL_MAX: u64 = 3;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Counter {
    version: u64,
    level: u64,
}

/// Each carries a number that no other command has.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub(super) enum CounterCommand {
    /// One up; refused at the highest level.
    Raise { number: u64 },
    /// One up and one down, in one commit.
    Flicker { number: u64 },
    /// One down; refused at 0.
    Lower { number: u64 },
    /// As `Raise`, after so many milliseconds of thought.
    Ponder { number: u64, ms: u64 },
    /// Decides nothing.
    Look {},
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(super) enum CounterEvent {
    Raised { number: u64, version: u64, level: u64 },
    Lowered { number: u64, version: u64, level: u64 },
}

/// A refusal, and the version that it was decided on.
#[derive(Debug, thiserror::Error)]
pub(super) enum CounterError {
    #[error("full at version {version}")]
    Full { version: u64 },
    #[error("empty at version {version}")]
    Empty { version: u64 },
}

impl CounterError {
    /// The version and the level that the counter had.
    pub(super) const fn decided_on(&self) -> (u64, u64) {
        match *self {
            Self::Full { version } => (version, LEVEL_MAX),
            Self::Empty { version } => (version, 0),
        }
    }
}

impl CounterEvent {
    const fn parts(&self) -> (u64, u64, u64) {
        match *self {
            Self::Raised { number, version, level } | Self::Lowered { number, version, level } => {
                (number, version, level)
            }
        }
    }
}

impl DomainEvent for CounterEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Raised { .. } => "Raised".to_owned(),
            Self::Lowered { .. } => "Lowered".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Counter {
    fn raise(&self, number: u64) -> Result<CounterEvent, CounterError> {
        let version = self.version;
        if self.level == LEVEL_MAX {
            return Err(CounterError::Full { version });
        }
        Ok(CounterEvent::Raised { number, version: version + 1, level: self.level + 1 })
    }

    fn lower(&self, number: u64) -> Result<CounterEvent, CounterError> {
        let version = self.version;
        let Some(level) = self.level.checked_sub(1) else {
            return Err(CounterError::Empty { version });
        };
        Ok(CounterEvent::Lowered { number, version: version + 1, level })
    }
}

impl cqrs_es::Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = CounterCommand;
    type Event = CounterEvent;
    type Error = CounterError;
    type Services = ();

    async fn handle(
        &mut self,
        command: CounterCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), CounterError> {
        match command {
            CounterCommand::Raise { number } => sink.write(self.raise(number)?, self).await,
            CounterCommand::Lower { number } => sink.write(self.lower(number)?, self).await,
            CounterCommand::Flicker { number } => {
                sink.write(self.raise(number)?, self).await;
                sink.write(self.lower(number)?, self).await;
            }
            CounterCommand::Ponder { number, ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                sink.write(self.raise(number)?, self).await;
            }
            CounterCommand::Look {} => {}
        }
        Ok(())
    }

    fn apply(&mut self, event: CounterEvent) {
        (_, self.version, self.level) = event.parts();
    }
}

impl Aggregate for Counter {
    fn refusal(error: &CounterError) -> Refusal {
        let code = match error {
            CounterError::Full { .. } => "full",
            CounterError::Empty { .. } => "empty",
        };
        Refusal::new(code, error.to_string())
    }
}

/// What the view of a counter shows: how many events it is made of, and which.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub(super) struct Tally {
    pub(super) events: u64,
    pub(super) level: u64,
    /// The sum of their numbers.
    pub(super) sum: u64,
}

impl Tally {
    pub(super) const fn with(self, number: u64, level: u64) -> Self {
        Self { events: self.events + 1, level, sum: self.sum + number }
    }
}

/// One tally per counter.
pub(super) struct Tallies;

impl Projection for Tallies {
    type Aggregate = Counter;
    type View = Tally;
    const NAME: &'static str = "tallies";
    const REVISION: u32 = 1;
    const INDEXES: &'static [&'static [&'static str]] = &[&["level", "sum"]];

    fn fold(
        &self,
        view: Option<Tally>,
        event: &CounterEvent,
        _recorded: &Recorded<'_>,
    ) -> Option<Tally> {
        let (number, _, level) = event.parts();
        Some(view.unwrap_or_default().with(number, level))
    }
}

/// One tally of all counters, merged over the partitions; it has no level.
///
/// It counts an event only if it remembers all events of the counter before it, each once.
pub(super) struct Total;

#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Counted {
    events: u64,
}

impl LinkedProjection for Total {
    type View = Tally;
    type Link = Counted;
    const NAME: &'static str = "total";
    const REVISION: u32 = 1;

    fn sources(&self) -> Sources {
        Sources::default().and::<Counter>()
    }

    fn link(&self, link: Counted, _recorded: &Recorded<'_>) -> Counted {
        Counted { events: link.events + 1 }
    }

    fn keys(&self, link: &Counted, recorded: &Recorded<'_>) -> Vec<Key> {
        let key = (link.events == recorded.version().0).then(|| Key::new("all").expect("a key"));
        key.into_iter().collect()
    }

    fn fold(&self, part: Tally, _: &Key, _: &Counted, recorded: &Recorded<'_>) -> Tally {
        let number = recorded.event::<Counter>().map_or(0, |event| event.parts().0);
        part.with(number, 0)
    }

    fn merge(&self, left: Tally, right: Tally) -> Tally {
        Tally { events: left.events + right.events, level: 0, sum: left.sum + right.sum }
    }
}
