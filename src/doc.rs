//! The tiny domain that the documentation's examples speak of: a light that is switched.
//!
//! It is hidden because nobody needs it; the example on [`Aggregate`](crate::Aggregate) shows how
//! such a domain is written.

use cqrs_es::DomainEvent;
use cqrs_es::event_sink::EventSink;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{
    Aggregate, Answer, Instruction, Key, MergedProjection, Policy, Process, Projection, Recorded,
    Refusal, Sources,
};

/// A light.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Light {
    on: bool,
}

/// An order to a light.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
pub enum LightCommand {
    /// Switches it on.
    SwitchOn {},
    /// Switches it off; nothing happens when it is off.
    SwitchOff {},
}

/// Something that happened to a light.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub enum LightEvent {
    /// It was switched on.
    SwitchedOn {},
    /// It was switched off.
    SwitchedOff {},
}

/// A light that is on cannot be switched on.
#[derive(Debug, thiserror::Error)]
#[error("the light is on")]
pub struct IsOn;

impl DomainEvent for LightEvent {
    fn event_type(&self) -> String {
        match self {
            Self::SwitchedOn {} => "SwitchedOn".into(),
            Self::SwitchedOff {} => "SwitchedOff".into(),
        }
    }

    fn event_version(&self) -> String {
        "1".into()
    }
}

impl cqrs_es::Aggregate for Light {
    const TYPE: &'static str = "light";
    type Command = LightCommand;
    type Event = LightEvent;
    type Error = IsOn;
    type Services = ();

    async fn handle(
        &mut self,
        command: LightCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), IsOn> {
        match command {
            LightCommand::SwitchOn {} if self.on => return Err(IsOn),
            LightCommand::SwitchOn {} => sink.write(LightEvent::SwitchedOn {}, self).await,
            LightCommand::SwitchOff {} if !self.on => {}
            LightCommand::SwitchOff {} => sink.write(LightEvent::SwitchedOff {}, self).await,
        }
        Ok(())
    }

    fn apply(&mut self, event: LightEvent) {
        self.on = event == LightEvent::SwitchedOn {};
    }
}

impl Aggregate for Light {
    fn refusal(error: &IsOn) -> Refusal {
        Refusal::new("is_on", error.to_string())
    }
}

/// Nobody needs light in the cellar for long.
#[derive(Debug)]
pub struct CellarIsDark;

impl Policy for CellarIsDark {
    const NAME: &'static str = "cellar-is-dark";

    fn sources(&self) -> Sources {
        Sources::default().and::<Light>()
    }

    fn react(&self, recorded: &Recorded<'_>) -> Vec<Instruction> {
        match recorded.event::<Light>() {
            Some(LightEvent::SwitchedOn {}) if recorded.id() == "cellar" => {
                vec![Instruction::to::<Light>("cellar", &LightCommand::SwitchOff {})]
            }
            _ => Vec::new(),
        }
    }
}

/// Nothing follows from a light.
#[derive(Debug)]
pub struct OneLight;

impl Process for OneLight {
    const NAME: &'static str = "one-light";

    fn sources(&self) -> Sources {
        Sources::default().and::<Light>()
    }

    fn react(&self, _: &Recorded<'_>) -> Vec<Instruction> {
        Vec::new()
    }

    fn answered(&self, _: &Recorded<'_>, _: usize, _: &Answer) -> Vec<Instruction> {
        Vec::new()
    }
}

/// Folds a light's events into its [`LightView`].
#[derive(Debug)]
pub struct Lights;

/// A light as readers see it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct LightView {
    /// Whether it is on.
    pub on: bool,
    /// How often it was switched.
    pub switched: u32,
}

impl Projection for Lights {
    type Aggregate = Light;
    type View = LightView;
    const NAME: &'static str = "lights";
    const REVISION: u32 = 1;

    fn fold(
        &self,
        view: Option<LightView>,
        event: &LightEvent,
        _recorded: &Recorded<'_>,
    ) -> Option<LightView> {
        let switched = view.unwrap_or_default().switched + 1;
        Some(LightView { on: *event == LightEvent::SwitchedOn {}, switched })
    }
}

/// Counts the lights that are on, under the key `all`.
#[derive(Debug)]
pub struct LightsOn;

/// How many lights are on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct LightsOnView {
    /// How many.
    pub on: i64,
}

impl MergedProjection for LightsOn {
    type View = LightsOnView;
    const NAME: &'static str = "lights-on";
    const REVISION: u32 = 1;

    fn sources(&self) -> Sources {
        Sources::default().and::<Light>()
    }

    fn keys(&self, _recorded: &Recorded<'_>) -> Vec<Key> {
        vec![Key::new("all").expect("`all` is a key")]
    }

    fn fold(&self, part: LightsOnView, _key: &Key, recorded: &Recorded<'_>) -> LightsOnView {
        match recorded.event::<Light>() {
            Some(LightEvent::SwitchedOn {}) => LightsOnView { on: part.on + 1 },
            Some(LightEvent::SwitchedOff {}) => LightsOnView { on: part.on - 1 },
            None => part,
        }
    }

    fn merge(&self, left: LightsOnView, right: LightsOnView) -> LightsOnView {
        LightsOnView { on: left.on + right.on }
    }
}
