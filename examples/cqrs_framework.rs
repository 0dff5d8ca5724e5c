//! A program on `cqrs-es`' own framework, moved to the log by exchanging its store.
//!
//! `cargo run --example cqrs_framework`. What was there before, aggregate, query and framework,
//! stays as it is; marked with `new:` is what the move adds. With `App::builder(Config::load(…)?)`
//! instead of `App::ephemeral()` the events are in Kafka.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cqrs_es::event_sink::EventSink;
use cqrs_es::{AggregateError, CqrsFramework, DomainEvent, EventEnvelope, EventStore, Query};
use retell::app::App;
use retell::write::SendOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

// new: `Serialize`, `Deserialize` and `JsonSchema` on the command, `JsonSchema` on the event.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
enum SeatCommand {
    Reserve { by: String },
    Release {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum SeatEvent {
    Reserved { by: String },
    Released {},
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the seat is reserved by {0}")]
struct Taken(String);

// new: `Clone` on the aggregate.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Seat {
    by: Option<String>,
}

impl DomainEvent for SeatEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Reserved { .. } => "Reserved".to_owned(),
            Self::Released {} => "Released".to_owned(),
        }
    }

    // new: an integer from 1; `cqrs-es` takes any text.
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl cqrs_es::Aggregate for Seat {
    const TYPE: &'static str = "seat";
    type Command = SeatCommand;
    type Event = SeatEvent;
    type Error = Taken;
    type Services = ();

    async fn handle(
        &mut self,
        command: SeatCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Taken> {
        match (command, self.by.clone()) {
            (SeatCommand::Reserve { .. }, Some(by)) => return Err(Taken(by)),
            (SeatCommand::Reserve { by }, None) => {
                sink.write(SeatEvent::Reserved { by }, self).await;
            }
            (SeatCommand::Release {}, None) => {}
            (SeatCommand::Release {}, Some(_)) => sink.write(SeatEvent::Released {}, self).await,
        }
        Ok(())
    }

    fn apply(&mut self, event: SeatEvent) {
        match event {
            SeatEvent::Reserved { by } => self.by = Some(by),
            SeatEvent::Released {} => self.by = None,
        }
    }
}

// new: what a client of the application is told, where commands also come over HTTP.
impl retell::Aggregate for Seat {
    fn refusal(error: &Taken) -> retell::Refusal {
        retell::Refusal::new("taken", error.to_string())
    }
}

/// Notes who has had the seat, in the order in which it was dispatched.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl Query<Seat> for Guests {
    async fn dispatch(&self, _seat: &str, events: &[EventEnvelope<Seat>]) {
        for event in events {
            if let SeatEvent::Reserved { by } = &event.payload
                && let Ok(mut guests) = self.0.lock()
            {
                guests.push(by.clone());
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // new: the application, which owns the log, and its store instead of `MemStore::default()`.
    let app = App::ephemeral().aggregate::<Seat>(()).build().await?;
    app.ready().await;
    let store = app.event_store::<Seat>();

    let guests = Guests::default();
    let framework = CqrsFramework::new(store.clone(), vec![Box::new(guests.clone())], ());
    let reserve = |by: &str| SeatCommand::Reserve { by: by.to_owned() };

    let metadata = HashMap::from([("actor".to_owned(), "box office".to_owned())]);
    framework.execute_with_metadata("12-a", reserve("Ann"), metadata).await?;
    match framework.execute("12-a", reserve("Bob")).await {
        Err(AggregateError::UserError(taken)) => println!("refused: {taken}"),
        other => println!("not expected: {other:?}"),
    }
    framework.execute("12-a", SeatCommand::Release {}).await?;

    // Both ways in may be used beside each other; a framework that comes second gets a conflict.
    app.commands().send::<Seat>("12-a", reserve("Eve"), SendOptions::default()).await?;

    for event in store.load_events("12-a").await? {
        println!("{} {:?} {:?}", event.sequence, event.payload, event.metadata);
    }
    println!("the query was told of {:?}", guests.0.lock().map(|it| it.clone()));
    app.stop().await;
    Ok(())
}
