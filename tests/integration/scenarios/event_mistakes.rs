//! Mistakes in an aggregate's events are found when the application is built, all at once.

use cqrs_es::DomainEvent;
use cqrs_es::event_sink::EventSink;
use retell::app::{App, AppError};
use retell::{Aggregate, Refusal, Upcaster};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An aggregate whose events are each wrong in one way, but for the first two.
#[derive(Clone, Default, Deserialize, Serialize)]
struct Odd;

/// An aggregate that takes events of which it knows nothing.
#[derive(Clone, Default, Deserialize, Serialize)]
struct Careless;

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
enum OddEvent {
    Right { of: Vec<String>, size: u8, place: Option<u64> },
    Upcast {},
    WrongTag {},
    NoNumber {},
    LeadingZero(u8),
    NotUpcast,
    Forgotten {},
    Gap {},
    Doubled {},
    Zero {},
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
enum CarelessEvent {
    Known {},
    #[serde(other)]
    Other,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl DomainEvent for OddEvent {
    fn event_type(&self) -> String {
        let text = format!("{self:?}");
        let tag = text.split([' ', '(']).next().unwrap_or_default();
        if tag == "WrongTag" { "wrong_tag".to_owned() } else { tag.to_owned() }
    }

    fn event_version(&self) -> String {
        let version = match self {
            Self::NoNumber {} => "1.0",
            Self::LeadingZero(_) => "01",
            Self::Upcast {} | Self::Doubled {} | Self::Forgotten {} => "3",
            Self::Gap {} => "4",
            _ => "1",
        };
        version.to_owned()
    }
}

impl DomainEvent for CarelessEvent {
    fn event_type(&self) -> String {
        if *self == Self::Other { "Other".to_owned() } else { "Known".to_owned() }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl cqrs_es::Aggregate for Odd {
    const TYPE: &'static str = "odd";
    type Command = ();
    type Event = OddEvent;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Never> {
        Ok(())
    }

    fn apply(&mut self, _: OddEvent) {}
}

impl cqrs_es::Aggregate for Careless {
    const TYPE: &'static str = "careless";
    type Command = ();
    type Event = CarelessEvent;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Never> {
        Ok(())
    }

    fn apply(&mut self, _: CarelessEvent) {}
}

impl Aggregate for Odd {
    fn refusal(Never: &Never) -> Refusal {
        Refusal::new("never", "never")
    }

    fn upcasters() -> Vec<Upcaster> {
        let from = |event_type, from| Upcaster { event_type, from, upcast: |content| content };
        let right = [from("Upcast", 2), from("Upcast", 1)];
        let gap = [from("Gap", 1), from("Gap", 3)];
        let doubled = [from("Doubled", 1), from("Doubled", 2), from("Doubled", 2)];
        let others = [from("NotUpcast", 1), from("Zero", 0), from("Nowhere", 1)];
        [&right[..], &gap, &doubled, &others].concat()
    }
}

impl Aggregate for Careless {
    fn refusal(Never: &Never) -> Refusal {
        Refusal::new("never", "never")
    }
}

async fn mistakes(app: retell::app::AppBuilder) -> Vec<String> {
    match app.build().await {
        Err(AppError::Domain(mistakes)) => mistakes,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was built"),
    }
}

#[tokio::test]
async fn an_application_whose_events_cannot_evolve_is_not_built() {
    let found = mistakes(App::ephemeral().aggregate::<Odd>(())).await;
    let expected = [
        "`Doubled` has two upcasters from schema 2",
        "`Gap` has an upcaster from schema 3, but none from schema 2",
        "an upcaster is for the event type `Nowhere`, which its events do not have",
        "an upcaster of `Zero` reads schema 0; schemas are numbered from 1",
        "event_type() is `wrong_tag`, but the event's JSON is `{\"WrongTag\":{}}`",
        "event_version() of `NoNumber` is `1.0`, expected an integer from 1",
        "event_version() of `LeadingZero` is `01`, expected an integer from 1",
        "event_version() of `NotUpcast` is 1, but its upcasters lead to 2",
        "event_version() of `Forgotten` is 3, but its upcasters lead to 1",
    ];
    let mut expected = expected.map(|mistake| format!("aggregate `odd`: {mistake}"));
    let mut found = found;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_aggregate_must_know_an_event_of_a_newer_binary_when_it_sees_one() {
    let found = mistakes(App::ephemeral().aggregate::<Careless>(())).await;
    assert!(found.len() == 1 && found[0].contains("`#[serde(other)]`"), "{found:?}");
}

#[tokio::test]
async fn the_shipped_events_can_evolve() {
    App::ephemeral().shipped().build().await.expect("the shipped application").stop().await;
}
