//! A stream of one view, or of all views of a projection: each as it is, when it may have changed.
//!
//! What a record may change is known from the record; the view that is told is the stored one,
//! read when its partition has come at least as far. A record that does not count changes nothing:
//! its views are told as they are, which is no lie.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

use crate::contract::{Key, Offset, Partition, Positions, Source};

use super::super::any_projection::AnyProjection;
use super::super::generations::Live;
use super::super::queries::{Entry, Views, merged};
use super::super::query_error::QueryError;
use super::super::workspace::doc_key;
use super::event_stream::{Begun, EventStream, Subject};
use super::hub::Listener;
use super::view_part::Part;
use super::{Beginning, PATIENCE, Places, before, behind};

/// What became of a view.
///
/// ```
/// use retell::{Key, Positions, app::App, write::SendOptions};
/// use retell::read::{StreamEvent, ViewChange};
/// # use retell::doc::{Light, LightCommand, Lights};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).projection(Lights).build().await?;
/// app.ready().await;
/// let only = Some(Key::new("hall")?);
/// let mut stream = app.views().follow("lights", only, &Positions::default()).await?;
/// stream.next().await; // from here on
/// let order = LightCommand::SwitchOn {};
/// let done = app.commands().send::<Light>("hall", order, SendOptions::default()).await?;
/// let told = stream.next().await.expect("the service goes on");
/// let (key, view) = (Key::new("hall")?, r#"{"on":true,"switched":1}"#.into());
/// assert_eq!(told.event, StreamEvent::Change(ViewChange::Put { key, view }));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ViewChange {
    /// The view under a key, as it is.
    Put {
        /// The key.
        key: Key,
        /// The view's JSON.
        view: Bytes,
    },
    /// There is no view under a key.
    Delete {
        /// The key.
        key: Key,
    },
}

/// What a stream follows.
pub(super) struct Followed {
    pub(super) views: Views,
    pub(super) projection: Arc<dyn AnyProjection>,
    pub(super) sources: Vec<Source>,
    /// One view; or all.
    pub(super) only: Option<Key>,
}

/// The views of the generation that is live.
struct LiveViews {
    followed: Arc<Followed>,
    live: watch::Receiver<Option<Arc<Live>>>,
    /// Of which it tells.
    generation: Option<Uuid>,
}

impl Views {
    /// Follows the view under a key, or all views of a projection, behind the positions that a
    /// client has seen; a partition without one from now on.
    ///
    /// # Errors
    /// There is no such projection, there are too many streams, or a position is not in the log.
    pub async fn follow(
        &self,
        projection: &str,
        only: Option<Key>,
        after: &Positions,
    ) -> Result<EventStream<ViewChange>, QueryError> {
        let inner = self.inner();
        let entry = inner.entry(projection)?;
        inner.check(after)?;
        inner.check_positions(after).await?;
        let followed = Followed {
            views: self.clone(),
            projection: entry.projection.clone(),
            sources: entry.projection.sources().iter().copied().collect(),
            only,
        };
        let homes = followed.homes();
        let mut was = behind(after);
        was.retain(|home, _| homes.contains(home));
        let (followed, live) = (Arc::new(followed), entry.live.clone());
        EventStream::new(&inner.streams, LiveViews { followed, live, generation: None }, was)
    }
}

#[async_trait]
impl Subject<ViewChange> for LiveViews {
    async fn begin(&mut self, was: &Places) -> Result<Begun<ViewChange>, QueryError> {
        let Followed { views, .. } = &*self.followed;
        let (entry, homes) = (self.followed.entry()?, self.followed.homes());
        let mut begun = views.inner().streams.begin(&homes, was).await?;
        // Who reads the views from now on misses nothing that came before the stream.
        let mut after = before(&begun.at);
        let live = loop {
            let found = views.inner().stored(entry, &homes, &[], &after, PATIENCE).await?;
            // From before the generation went live the client has the views of another one.
            let is_void = |(home, next): (&Partition, &Offset)| *next < found.live.floor(*home);
            if begun.is_anew || !was.iter().any(is_void) {
                break found.live;
            }
            begun.begin_now();
            after = before(&begun.at);
        };
        self.generation = Some(live.generation);
        let Beginning { listeners, at, now, is_anew } = begun;
        let part = |listener: Listener| {
            let followed = (self.followed.clone(), self.live.clone());
            let places = (at[&listener.partition], now[&listener.partition]);
            Part::new(followed, &live, listener, places).stream()
        };
        Ok(Begun { parts: listeners.into_iter().map(part).collect(), at, is_anew })
    }

    /// A generation that goes live may have other views.
    async fn is_void(&mut self) {
        let own = self.generation;
        let is_other = |live: &Option<Arc<Live>>| live.as_ref().map(|it| it.generation) != own;
        if self.live.wait_for(is_other).await.is_err() {
            std::future::pending().await // the process goes down
        }
    }
}

impl Followed {
    pub(super) fn entry(&self) -> Result<&Entry, QueryError> {
        self.views.inner().entry(self.projection.name().as_str())
    }

    /// The partitions whose records may change what is followed.
    fn homes(&self) -> Vec<Partition> {
        self.only.as_ref().map_or_else(|| self.all(), |key| self.homes_of(key))
    }

    /// The partitions that have a part of a view.
    fn homes_of(&self, key: &Key) -> Vec<Partition> {
        let home = self.projection.partition_of(key, self.views.inner().log.partitions());
        home.map_or_else(|| self.all(), |home| vec![home])
    }

    fn all(&self) -> Vec<Partition> {
        self.views.inner().log.partitions().iter().collect()
    }

    /// The views under these keys, which are all merged or all of one partition, as of at least
    /// these positions; and of which generation they are.
    pub(super) async fn read(
        &self,
        keys: &[Key],
        after: &Positions,
        wait: Duration,
    ) -> Result<(Uuid, Vec<Option<Bytes>>), QueryError> {
        let (inner, entry) = (self.views.inner(), self.entry()?);
        let homes = keys.first().map_or_else(Vec::new, |key| self.homes_of(key));
        let docs: Vec<String> = keys.iter().map(|key| doc_key(key.as_str())).collect();
        let found = inner.stored(entry, &homes, &docs, after, wait).await?;
        let mut parts: Vec<Vec<Bytes>> = vec![Vec::new(); keys.len()];
        for (_, values) in found.parts {
            for (parts, value) in parts.iter_mut().zip(values) {
                parts.extend(value);
            }
        }
        let whole =
            |parts: Vec<Bytes>| (!parts.is_empty()).then(|| merged(entry, parts)).transpose();
        let views = parts.into_iter().map(whole).collect::<Result<_, _>>()?;
        Ok((found.live.generation, views))
    }
}
