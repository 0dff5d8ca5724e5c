//! What followed from an event long ago is not done again, and whose place is lost says so.

use std::sync::Arc;
use std::time::Duration;

use retell::adapters::memory::ManualClock;
use retell::commands::AccountCommand;
use retell::react::policies::PolicyState;
use retell::{Policy, Start, Time};

use crate::support::mirror::{Mirror, MirrorOfAll, World, mirrored, policy_is};
use crate::support::writers::PATIENCE;

/// Longer than the writer knows an id.
const LONG: Duration = Duration::from_secs(30 * 3_600);

fn world() -> (World, ManualClock) {
    let clock = ManualClock::new(Time::from_millis(1_767_225_600_000));
    (World::with_clock(Arc::new(clock.clone())), clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_followed_from_an_event_more_than_a_day_ago_is_found_in_the_past() {
    let (world, clock) = world();
    let app = world.start(MirrorOfAll(Mirror::default())).await;
    app.open("ann", "Ann").await;
    app.deposit("ann", 5).await;
    mirrored(&app, "ann", 5).await;
    // One that was refused: it would not be today.
    app.open("bob.mirror", "Bob").await;
    app.account("bob.mirror", AccountCommand::CloseAccount {}).await;
    app.open("bob", "Bob").await;
    app.open("last", "Ann").await;
    mirrored(&app, "last", 0).await;
    app.0.stop().await;
    clock.advance(LONG);
    // Neither store nor bookmark says how far it was, and it begins at the beginning.
    let again = World { bookmarks: Arc::default(), ..world.with_empty_store() };
    let app = again.start(MirrorOfAll(Mirror::default())).await;
    app.deposit("ann", 7).await;
    mirrored(&app, "ann", 12).await;
    app.0.stop().await;
    again.check_issued(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_whose_place_is_lost_says_so_and_issues_nothing() {
    let (world, clock) = world();
    let app = world.start(Mirror::default()).await;
    app.open("ann", "Ann").await;
    mirrored(&app, "ann", 0).await;
    app.0.stop().await;
    clock.advance(LONG);
    let lost = World { bookmarks: Arc::default(), ..world.with_empty_store() };
    let app = lost.start(Mirror::default()).await;
    policy_is(&app, |state| matches!(state, PolicyState::Lost { .. })).await;
    app.deposit("ann", 7).await;
    app.0.stop().await;
    lost.check_issued(1).await;
    // It goes on where a person says.
    let app = lost.start(Mirror::default()).await;
    let begun = async {
        let mut begun = 0;
        while begun < 4 {
            begun += app.0.policies().begin(Mirror::NAME, Start::New).expect("a policy");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("lost in every partition");
    policy_is(&app, |state| *state == PolicyState::Following).await;
    app.0.stop().await;
    // With its bookmark it goes on.
    let app = world.with_empty_store().start(Mirror::default()).await;
    mirrored(&app, "ann", 7).await;
    app.0.stop().await;
    world.check_issued(2).await;
}
