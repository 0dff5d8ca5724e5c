//! A counter: your own aggregate, event and projection in one file, run in memory.
//!
//! `cargo run --example quickstart`. Exchange `App::ephemeral()` for
//! `App::builder(Config::load(…)?)` and the same counter runs on Kafka and Redis.

use cqrs_es::{DomainEvent, event_sink::EventSink};
use retell::app::App;
use retell::write::SendOptions;
use retell::{Aggregate, Projection, Recorded, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be asked of a counter.
#[derive(Serialize, Deserialize, JsonSchema)]
enum CounterCommand {
    Add { steps: u32 },
}

/// What happened to it. Names and fields are stored: change them by a new version only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum CounterEvent {
    Added { steps: u32, sum: u32 },
}

#[derive(Debug, thiserror::Error)]
#[error("a counter ends at 100, this would make {0}")]
struct TooMuch(u32);

/// The state that decisions are made on.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    sum: u32,
}

impl DomainEvent for CounterEvent {
    fn event_type(&self) -> String {
        "Added".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl cqrs_es::Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = CounterCommand;
    type Event = CounterEvent;
    type Error = TooMuch;
    type Services = ();

    async fn handle(
        &mut self,
        CounterCommand::Add { steps }: CounterCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), TooMuch> {
        let sum = self.sum.saturating_add(steps);
        if sum > 100 {
            return Err(TooMuch(sum));
        }
        sink.write(CounterEvent::Added { steps, sum }, self).await;
        Ok(())
    }

    fn apply(&mut self, CounterEvent::Added { sum, .. }: CounterEvent) {
        self.sum = sum;
    }
}

impl Aggregate for Counter {
    fn refusal(error: &TooMuch) -> Refusal {
        Refusal::new("too_much", error.to_string())
    }
}

/// What readers see: one view per counter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct CounterView {
    sum: u32,
    times_changed: u64,
}

struct Counters;

impl Projection for Counters {
    type Aggregate = Counter;
    type View = CounterView;
    const NAME: &'static str = "counters";
    const REVISION: u32 = 1;

    fn fold(
        &self,
        _: Option<CounterView>,
        CounterEvent::Added { sum, .. }: &CounterEvent,
        recorded: &Recorded<'_>,
    ) -> Option<CounterView> {
        Some(CounterView { sum: *sum, times_changed: recorded.version().0 })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = App::ephemeral().aggregate::<Counter>(()).projection(Counters).build().await?;
    app.ready().await;

    let add = |steps| {
        let command = CounterCommand::Add { steps };
        app.commands().send::<Counter>("clicks", command, SendOptions::default())
    };
    add(40).await?;
    let done = add(2).await?;
    println!("version {} at position {}", done.version, done.position);

    // The position makes sure that the view has what was just written.
    let view = app.view::<Counters>("clicks", done.position).await?;
    println!("{view:?}");

    match add(1_000).await {
        Err(error) => println!("refused: {error}"),
        Ok(done) => println!("not expected: {done:?}"),
    }
    app.stop().await;
    Ok(())
}
