//! A stream of events over several partitions, none of which waits for another.
//!
//! What it tells has the positions with which a client goes on that has seen it.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll, select_all};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::contract::{Offset, Partition, Positions};
use crate::shutdown::Shutdown;

use super::super::query_error::QueryError;
use super::{Places, RETRY_DELAY, Streams, before};

/// How often a stream that has nothing to tell says how far it has come.
const TICK: Duration = Duration::from_secs(15);

/// Tells what happens. Nothing happens in it while it is not asked.
///
/// ```
/// use retell::{Positions, app::App, write::SendOptions};
/// use retell::read::{EventStream, StreamEvent, ViewChange};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let mut stream: EventStream<ViewChange> =
///     app.views().follow("lights", None, &Positions::default()).await?;
/// let begun = stream.next().await.expect("the service goes on");
/// assert_eq!(begun.event, StreamEvent::Here);
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let told = stream.next().await.expect("the service goes on");
/// assert!(matches!(told.event, StreamEvent::Change(_)));
/// # app.stop().await; Ok(()) }
/// ```
pub struct EventStream<T> {
    subject: Box<dyn Subject<T>>,
    /// Everything before is told.
    told: Places,
    /// None until it has begun.
    parts: Option<Parts<T>>,
    /// Whether what was told is of no use when it begins.
    is_anew: bool,
    /// Whether it has come further than the client knows.
    has_moved: bool,
    ticks: Interval,
    shutdown: Shutdown,
    _room: OwnedSemaphorePermit,
}

/// What a client is told.
///
/// ```
/// use retell::{Positions, app::App, write::SendOptions};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let mut stream = app.views().follow("lights", None, &Positions::default()).await?;
/// stream.next().await; // from here on
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let told = stream.next().await.expect("the service goes on");
/// // Whoever has seen this goes on behind it.
/// assert_eq!(told.positions.get(done.position.partition), Some(done.position.offset));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Told<T> {
    /// What it is.
    pub event: StreamEvent<T>,
    /// Where a client goes on that has seen it.
    pub positions: Positions,
}

/// What became of a stream.
///
/// ```
/// use retell::read::StreamEvent;
///
/// /// What a client does with what it holds.
/// fn follow(held: &mut Option<String>, event: StreamEvent<String>) {
///     match event {
///         StreamEvent::Change(changed) => *held = Some(changed),
///         StreamEvent::Reset => *held = None,
///         StreamEvent::Here | StreamEvent::Lagging => {}
///     }
/// }
/// let mut held = None;
/// follow(&mut held, StreamEvent::Change("on".to_owned()));
/// follow(&mut held, StreamEvent::Lagging);
/// assert_eq!(held.as_deref(), Some("on"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StreamEvent<T> {
    /// It has come to these positions; nothing that matters happened.
    Here,
    /// Something changed.
    Change(T),
    /// Too much has changed, or everything may have: what the client holds is of no use.
    Reset,
    /// The client, or what it follows, is behind; the stream goes on.
    Lagging,
}

/// What a stream is about.
#[async_trait]
pub(super) trait Subject<T>: Send {
    /// Begins where the client was; where it was nowhere, now.
    async fn begin(&mut self, was: &Places) -> Result<Begun<T>, QueryError>;

    /// Returns when what was told since it began is of no use any more.
    async fn is_void(&mut self);
}

/// What a stream is made of once it has begun.
pub(super) struct Begun<T> {
    pub(super) parts: Vec<BoxStream<'static, Happened<T>>>,
    pub(super) at: Places,
    /// Whether that is not where the client was.
    pub(super) is_anew: bool,
}

type Parts<T> = SelectAll<BoxStream<'static, Happened<T>>>;

/// What happened in a partition.
pub(super) struct Happened<T> {
    pub(super) partition: Partition,
    /// Everything before is told with it.
    pub(super) told: Offset,
    pub(super) what: What<T>,
}

pub(super) enum What<T> {
    /// Nothing that matters.
    Passed,
    Changed(T),
    Lagged,
    /// The stream must begin anew.
    Void,
}

impl<T> EventStream<T> {
    pub(super) fn new(
        streams: &Streams,
        subject: impl Subject<T> + 'static,
        was: Places,
    ) -> Result<Self, QueryError> {
        let room = streams.enter()?;
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (subject, shutdown) = (Box::new(subject), streams.hub.shutdown());
        let (parts, is_anew, has_moved) = (None, false, false);
        Ok(Self { subject, told: was, parts, is_anew, has_moved, ticks, shutdown, _room: room })
    }

    /// What comes next; none when the process goes down.
    pub async fn next(&mut self) -> Option<Told<T>> {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            biased;
            () = shutdown.requested() => None,
            event = self.event() => Some(self.tell(event)),
        }
    }

    async fn event(&mut self) -> StreamEvent<T> {
        loop {
            let Some(parts) = &mut self.parts else {
                match self.begin().await {
                    Ok(event) => return event,
                    Err(error) => {
                        tracing::debug!(%error, "an event stream waits");
                        tokio::time::sleep(RETRY_DELAY).await;
                        return StreamEvent::Lagging;
                    }
                }
            };
            let happened = tokio::select! {
                biased;
                () = self.subject.is_void() => None,
                Some(happened) = parts.next() => Some(happened),
                _ = self.ticks.tick(), if self.has_moved => return StreamEvent::Here,
            };
            if let Some(event) = self.take(happened) {
                return event;
            }
        }
    }

    async fn begin(&mut self) -> Result<StreamEvent<T>, QueryError> {
        let was = if self.is_anew { Places::new() } else { self.told.clone() };
        let begun = self.subject.begin(&was).await?;
        let is_anew = std::mem::take(&mut self.is_anew) || begun.is_anew;
        self.told = begun.at;
        self.parts = Some(select_all(begun.parts));
        Ok(if is_anew { StreamEvent::Reset } else { StreamEvent::Here })
    }

    fn take(&mut self, happened: Option<Happened<T>>) -> Option<StreamEvent<T>> {
        let Some(Happened { partition, told, what }) = happened else { return self.void() };
        let event = match what {
            What::Void => return self.void(),
            What::Passed => None,
            What::Changed(change) => Some(StreamEvent::Change(change)),
            What::Lagged => Some(StreamEvent::Lagging),
        };
        self.has_moved |= self.told.insert(partition, told) != Some(told);
        event
    }

    fn void(&mut self) -> Option<StreamEvent<T>> {
        (self.parts, self.is_anew) = (None, true);
        None
    }

    fn tell(&mut self, event: StreamEvent<T>) -> Told<T> {
        self.has_moved = false;
        self.ticks.reset();
        Told { event, positions: before(&self.told) }
    }
}
