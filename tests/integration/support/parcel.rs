//! One aggregate as two binaries have it: the older one, and a newer one that renamed a field,
//! knows another event, and has another state.

use std::sync::Arc;

use cqrs_es::DomainEvent;
use cqrs_es::event_sink::EventSink;
use retell::app::App;
use retell::config::Config;
use retell::ports::{EventLog, ViewStore};
use retell::write::{CommandError, Done, Ownership, SendOptions};
use retell::{Aggregate, EventOf, Projection, Recorded, Refusal, Upcaster};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::writers::PATIENCE;

/// A parcel as the older binary knows it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct OldParcel {
    to: Option<String>,
}

/// A parcel as the newer binary knows it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct NewParcel {
    recipient: Option<String>,
    returned: bool,
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) enum OldEvent {
    ParcelSent { to: String },
    ParcelOpened {},
}

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[expect(clippy::enum_variant_names, reason = "its names are as they stand in the log")]
pub(crate) enum NewEvent {
    ParcelSent { recipient: String },
    ParcelOpened {},
    ParcelReturned {},
}

/// Both understand the same commands, but the older one never returns a parcel.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub(crate) enum ParcelCommand {
    Send { to: String },
    Open {},
    Return {},
}

/// Why not; it says what the state is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the parcel is {0}")]
pub(crate) struct NotNow(pub(crate) String);

impl DomainEvent for OldEvent {
    fn event_type(&self) -> String {
        match self {
            Self::ParcelSent { .. } => "ParcelSent".to_owned(),
            Self::ParcelOpened {} => "ParcelOpened".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl DomainEvent for NewEvent {
    fn event_type(&self) -> String {
        match self {
            Self::ParcelSent { .. } => "ParcelSent".to_owned(),
            Self::ParcelOpened {} => "ParcelOpened".to_owned(),
            Self::ParcelReturned {} => "ParcelReturned".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        if matches!(self, Self::ParcelSent { .. }) { "2".to_owned() } else { "1".to_owned() }
    }
}

impl cqrs_es::Aggregate for OldParcel {
    const TYPE: &'static str = "parcel";
    type Command = ParcelCommand;
    type Event = OldEvent;
    type Error = NotNow;
    type Services = ();

    async fn handle(
        &mut self,
        command: ParcelCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), NotNow> {
        match (command, &self.to) {
            (ParcelCommand::Send { to }, None) => {
                sink.write(OldEvent::ParcelSent { to }, self).await;
            }
            (ParcelCommand::Open {}, Some(_)) => {
                sink.write(OldEvent::ParcelOpened {}, self).await;
            }
            _ => return Err(NotNow(format!("{self:?}"))),
        }
        Ok(())
    }

    fn apply(&mut self, event: OldEvent) {
        if let OldEvent::ParcelSent { to } = event {
            self.to = Some(to);
        }
    }
}

impl cqrs_es::Aggregate for NewParcel {
    const TYPE: &'static str = "parcel";
    type Command = ParcelCommand;
    type Event = NewEvent;
    type Error = NotNow;
    type Services = ();

    async fn handle(
        &mut self,
        command: ParcelCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), NotNow> {
        match (command, &self.recipient) {
            (ParcelCommand::Send { to: recipient }, None) => {
                sink.write(NewEvent::ParcelSent { recipient }, self).await;
            }
            (ParcelCommand::Open {}, Some(_)) if !self.returned => {
                sink.write(NewEvent::ParcelOpened {}, self).await;
            }
            (ParcelCommand::Return {}, Some(_)) if !self.returned => {
                sink.write(NewEvent::ParcelReturned {}, self).await;
            }
            _ => return Err(NotNow(format!("{self:?}"))),
        }
        Ok(())
    }

    fn apply(&mut self, event: NewEvent) {
        match event {
            NewEvent::ParcelSent { recipient } => self.recipient = Some(recipient),
            NewEvent::ParcelOpened {} => {}
            NewEvent::ParcelReturned {} => self.returned = true,
        }
    }
}

impl Aggregate for OldParcel {
    fn refusal(error: &NotNow) -> Refusal {
        Refusal::new("not_now", error.to_string())
    }
}

impl Aggregate for NewParcel {
    const SCHEMA: u32 = 2;

    fn refusal(error: &NotNow) -> Refusal {
        Refusal::new("not_now", error.to_string())
    }

    fn upcasters() -> Vec<Upcaster> {
        vec![Upcaster { event_type: "ParcelSent", from: 1, upcast: rename_to }]
    }
}

fn rename_to(mut content: Value) -> Value {
    if let Some(to) = content.as_object_mut().and_then(|fields| fields.remove("to")) {
        content["recipient"] = to;
    }
    content
}

/// What both binaries show of a parcel: its recipient and its history.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub(crate) struct ParcelView {
    pub(crate) recipient: String,
    pub(crate) history: Vec<String>,
}

pub(crate) struct OldParcels;

pub(crate) struct NewParcels;

impl Projection for OldParcels {
    type Aggregate = OldParcel;
    type View = ParcelView;
    const NAME: &'static str = "parcels";
    const REVISION: u32 = 1;

    fn fold(
        &self,
        view: Option<ParcelView>,
        event: &OldEvent,
        recorded: &Recorded<'_>,
    ) -> Option<ParcelView> {
        let mut view = view.unwrap_or_default();
        if let OldEvent::ParcelSent { to } = event {
            view.recipient.clone_from(to);
        }
        view.history.push(recorded.event_type().to_owned());
        Some(view)
    }
}

impl Projection for NewParcels {
    type Aggregate = NewParcel;
    type View = ParcelView;
    const NAME: &'static str = "parcels";
    const REVISION: u32 = 1;

    fn fold(
        &self,
        view: Option<ParcelView>,
        event: &NewEvent,
        recorded: &Recorded<'_>,
    ) -> Option<ParcelView> {
        let mut view = view.unwrap_or_default();
        if let NewEvent::ParcelSent { recipient } = event {
            view.recipient.clone_from(recipient);
        }
        view.history.push(recorded.event_type().to_owned());
        Some(view)
    }
}

/// A binary: its application, with the shipped aggregates beside its parcels.
pub(crate) struct Binary<A> {
    pub(crate) app: App,
    parcel: std::marker::PhantomData<A>,
}

impl Binary<OldParcel> {
    pub(crate) async fn old(log: Arc<dyn EventLog>, store: Arc<dyn ViewStore>) -> Self {
        Self::start(log, store, OldParcels).await
    }
}

impl Binary<NewParcel> {
    pub(crate) async fn new(log: Arc<dyn EventLog>, store: Arc<dyn ViewStore>) -> Self {
        Self::start(log, store, NewParcels).await
    }
}

impl<A> Binary<A>
where
    A: Aggregate<Command = ParcelCommand, Error = NotNow, Services = ()>,
    EventOf<A>: DomainEvent,
{
    /// Returns once it owns every partition.
    async fn start<P: Projection<Aggregate = A>>(
        log: Arc<dyn EventLog>,
        store: Arc<dyn ViewStore>,
        parcels: P,
    ) -> Self {
        let app = App::builder(Config::defaults()).log(log).store(store).shipped();
        let app = app.aggregate::<A>(()).projection(parcels).build().await.expect("an app");
        let binary = Self { app, parcel: std::marker::PhantomData };
        let owner = |app: &App| app.commands().status().iter().all(|it| it.ownership.is_owner());
        binary.until("owner", owner).await;
        binary
    }

    pub(crate) async fn try_parcel(
        &self,
        id: &str,
        command: ParcelCommand,
    ) -> Result<Done, CommandError<NotNow>> {
        self.app.commands().send::<A>(id, command, SendOptions::default()).await
    }

    pub(crate) async fn parcel(&self, id: &str, command: ParcelCommand) -> Done {
        self.try_parcel(id, command).await.expect("done")
    }

    pub(crate) async fn send(&self, id: &str, to: &str) -> Done {
        self.parcel(id, ParcelCommand::Send { to: to.to_owned() }).await
    }

    /// The parcel's view as of this command.
    pub(crate) async fn view(&self, id: &str, after: &Done) -> ParcelView {
        let reading = async {
            loop {
                match self.app.view::<OldParcels>(id, after.position).await {
                    Ok(view) => return view.expect("a view of what was sent"),
                    Err(error) => tracing::debug!(%error, "not yet"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("a view in time")
    }

    /// Waits until the application is as wanted.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&App) -> bool) {
        let waiting = async {
            while !is(&self.app) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        let status = || (self.app.commands().status(), self.app.views().list());
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("never {what}: {:?}", status());
        }
    }

    /// Why the application is not ready, by code.
    pub(crate) async fn reasons(&self) -> Vec<(&'static str, String)> {
        let reasons = self.app.door().not_ready().await;
        reasons.into_iter().map(|reason| (reason.code, reason.detail)).collect()
    }

    pub(crate) async fn deposed(&self) {
        let deposed = |it: &Ownership| matches!(it, Ownership::Deposed { .. });
        self.until("deposed", |app| {
            app.commands().status().iter().all(|it| deposed(&it.ownership))
        })
        .await;
    }
}
