//! Binaries of two revisions of a projection on one log and one store, side by side and one after
//! the other.

use std::sync::Arc;
use std::time::Duration;

use retell::adapters::memory::MemoryViews;
use retell::app::App;
use retell::commands::Account;
use retell::config::Config;
use retell::events::account::AccountEvent;
use retell::ports::{EventLog, Pointer, ViewStore};
use retell::read::VerificationState;
use retell::write::Done;
use retell::{Projection, Recorded};
use tokio::time::sleep;
use uuid::Uuid;

use super::generations::{PARTITIONS, log, store};
use crate::support::shipped::Shipped;
use crate::support::tampering::keys;
use crate::support::writers::PATIENCE;

/// How long the views that nobody serves are kept.
const KEEP: Duration = Duration::from_mins(1);

/// What an account's owner is, in two revisions.
struct Owners<const REVISION: u32>;

impl<const REVISION: u32> Projection for Owners<REVISION> {
    type Aggregate = Account;
    type View = String;
    const NAME: &'static str = "owners";
    const REVISION: u32 = REVISION;

    fn fold(&self, view: Option<String>, event: &AccountEvent, _: &Recorded<'_>) -> Option<String> {
        match event {
            AccountEvent::AccountOpened { owner } => Some(format!("{owner} by {REVISION}")),
            _ => view.map(|view| format!("{view}+")),
        }
    }
}

/// A new revision is built by itself, beside the old one, which its own binary goes on to serve.
#[tokio::test]
async fn binaries_of_two_revisions_serve_their_own_side_by_side() {
    serve_two_revisions(log(), Arc::new(store())).await;
}

/// The same on any log and any store.
pub(super) async fn serve_two_revisions(log: Arc<dyn EventLog>, store: Arc<dyn ViewStore>) {
    let old = with_revision::<1>(&log, &store).await;
    let opened = old.open("ann", "Ann").await;
    assert_eq!(view(&old, &opened).await, r#""Ann by 1""#);
    let new = with_revision::<2>(&log, &store).await;
    new.generation("owners", |_| true).await;
    let done = new.deposit("ann", 5).await;
    assert_eq!(view(&new, &done).await, r#""Ann by 2+""#);
    assert_eq!(view(&old, &done).await, r#""Ann by 1+""#);
    for app in [&new, &old] {
        let found = app.verify(Some("owners")).await;
        assert_eq!(found.state, VerificationState::Equal, "{found:?}");
    }
    new.0.stop().await;
    old.0.stop().await;
}

async fn with_revision<const REVISION: u32>(
    log: &Arc<dyn EventLog>,
    store: &Arc<dyn ViewStore>,
) -> Shipped {
    let mut config = Config::defaults();
    config.replay.keep_previous = KEEP;
    config.replay.takeover_timeout = KEEP / 10;
    let app = App::builder(config).log(log.clone()).store(store.clone()).shipped();
    Shipped(app.projection(Owners::<REVISION>).build().await.expect("an application"))
}

/// The generations of a revision, once they are as wanted.
async fn generations(
    store: &MemoryViews,
    revision: u32,
    wanted: impl Fn(&Pointer) -> bool,
) -> Pointer {
    let looking = async {
        loop {
            let mut pointers = store.pointers("owners").await.expect("pointers");
            let pointer = pointers.remove(&revision).unwrap_or_default();
            if wanted(&pointer) {
                return pointer;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(KEEP + PATIENCE, looking).await.expect("in time")
}

async fn live(store: &MemoryViews, revision: u32) -> Uuid {
    let pointer = generations(store, revision, |it| it.live.is_some()).await;
    pointer.live.expect("it is live")
}

async fn has_views(store: &MemoryViews, generation: Uuid) -> bool {
    !keys(store, "owners", generation, PARTITIONS).await.is_empty()
}

/// The view of `ann` as of this command.
async fn view(app: &Shipped, after: &Done) -> String {
    let bytes = app.bytes("owners", "ann", &after.position.into()).await;
    String::from_utf8(bytes).expect("text")
}

/// An upgrade, and one that is taken back: the revisions of the binary that is left and of the
/// one that goes on.
#[tokio::test(start_paused = true)]
async fn views_of_another_revision_are_dropped_once_no_binary_serves_them() {
    let (log, store): (Arc<dyn EventLog>, _) = (log(), store());
    let shared: Arc<dyn ViewStore> = Arc::new(store.clone());
    let old = with_revision::<1>(&log, &shared).await;
    old.open("ann", "Ann").await;
    let former = live(&store, 1).await;
    let new = with_revision::<2>(&log, &shared).await;
    let newer = live(&store, 2).await;
    // As long as both are served, both are kept.
    sleep(KEEP * 2).await;
    assert_eq!((live(&store, 1).await, live(&store, 2).await), (former, newer));
    let done = new.deposit("ann", 5).await;
    assert_eq!(view(&old, &done).await, r#""Ann by 1+""#);
    assert_eq!(view(&new, &done).await, r#""Ann by 2+""#);
    old.0.stop().await;
    // A binary that goes back soon need not build anything again.
    sleep(KEEP / 2).await;
    let old = with_revision::<1>(&log, &shared).await;
    let done = old.deposit("ann", 5).await;
    assert_eq!(view(&old, &done).await, r#""Ann by 1++""#);
    assert_eq!(live(&store, 1).await, former);
    old.0.stop().await;
    let nothing = |it: &Pointer| !it.names_any() && it.dropping.is_empty();
    generations(&store, 1, nothing).await;
    assert!(!has_views(&store, former).await && has_views(&store, newer).await);
    // One that goes back later does, and what it leaves behind is the newer one.
    let old = with_revision::<1>(&log, &shared).await;
    new.0.stop().await;
    let done = old.deposit("ann", 5).await;
    assert_eq!(view(&old, &done).await, r#""Ann by 1+++""#);
    assert_ne!(live(&store, 1).await, former);
    generations(&store, 2, nothing).await;
    assert!(!has_views(&store, newer).await);
    old.0.stop().await;
}

/// What a crash in the middle of a drop has left needs nobody's time to run out again.
#[tokio::test]
async fn the_drop_of_another_revisions_views_goes_on_after_a_crash() {
    let (log, store): (Arc<dyn EventLog>, _) = (log(), store());
    let shared: Arc<dyn ViewStore> = Arc::new(store.clone());
    let old = with_revision::<1>(&log, &shared).await;
    let opened = old.open("ann", "Ann").await;
    view(&old, &opened).await;
    old.0.stop().await;
    let before = generations(&store, 1, |it| it.live.is_some()).await;
    let set = store.set_pointer("owners", 1, Some(&before), &before.abandoned()).await;
    assert!(set.expect("an answer"));
    let former = before.live.expect("it was live");
    assert!(has_views(&store, former).await);
    let new = with_revision::<2>(&log, &shared).await;
    generations(&store, 1, |it| it.dropping.is_empty()).await;
    assert!(!has_views(&store, former).await);
    new.0.stop().await;
}

/// While the views of its own revision are built, somebody may want to go back.
#[tokio::test(start_paused = true)]
async fn views_of_another_revision_are_kept_while_there_are_no_others() {
    let (log, store): (Arc<dyn EventLog>, _) = (log(), store());
    let shared: Arc<dyn ViewStore> = Arc::new(store.clone());
    let old = with_revision::<1>(&log, &shared).await;
    let opened = old.open("ann", "Ann").await;
    view(&old, &opened).await;
    let former = live(&store, 1).await;
    old.0.stop().await;
    // Paused before it has built anything.
    let paused = Pointer { paused: true, ..Pointer::default() };
    let set = store.set_pointer("owners", 2, None, &paused).await;
    assert!(set.expect("an answer"));
    let new = with_revision::<2>(&log, &shared).await;
    sleep(KEEP * 2).await;
    assert_eq!(live(&store, 1).await, former);
    assert!(has_views(&store, former).await);
    new.0.operations().resume("owners").await.expect("resumed");
    generations(&store, 1, |it| !it.names_any()).await;
    new.0.stop().await;
}
