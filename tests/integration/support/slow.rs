//! An aggregate whose decisions wait, or panic, when they are told to.

use std::sync::Arc;

use cqrs_es::DomainEvent;
use cqrs_es::event_sink::EventSink;
use retell::ports::Ids;
use retell::write::{AnyKind, Kind};
use retell::{Aggregate, Name, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Slow;

#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) enum SlowCommand {
    /// Decides at once.
    Go,
    /// Decides when it is notified.
    Wait,
    /// Does not decide.
    Panic,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) enum SlowEvent {
    Went,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
pub(crate) struct Never;

pub(crate) fn kind(ids: &Ids, go: Arc<Notify>) -> Arc<dyn AnyKind> {
    Arc::new(Kind::<Slow>::new(
        Name::new(<Slow as cqrs_es::Aggregate>::TYPE).expect("name"),
        go,
        ids.clone(),
    ))
}

impl DomainEvent for SlowEvent {
    fn event_type(&self) -> String {
        "Went".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl cqrs_es::Aggregate for Slow {
    const TYPE: &'static str = "slow";
    type Command = SlowCommand;
    type Event = SlowEvent;
    type Error = Never;
    type Services = Arc<Notify>;

    async fn handle(
        &mut self,
        command: SlowCommand,
        go: &Arc<Notify>,
        sink: &EventSink<Self>,
    ) -> Result<(), Never> {
        match command {
            SlowCommand::Go => {}
            SlowCommand::Wait => go.notified().await,
            SlowCommand::Panic => panic!("on purpose"),
        }
        sink.write(SlowEvent::Went, self).await;
        Ok(())
    }

    fn apply(&mut self, SlowEvent::Went: SlowEvent) {}
}

impl Aggregate for Slow {
    fn refusal(Never: &Never) -> Refusal {
        Refusal::new("never", "never")
    }
}
