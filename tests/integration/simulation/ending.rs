//! The end of a history: everything is mended, a last process takes over, and what it does and
//! shows is compared with the log to the last record.

use std::time::Duration;

use retell::log::{Mark, Tracker};
use retell::read::{QueryError, VerificationState};
use retell::{LinkedProjection, Offset, Partition, Position, Positions, Projection};
use tokio::time::{Instant, sleep};

use super::counter::{CounterCommand, Tallies, Total};
use super::faults::Faults;
use super::history::{COUNTERS, History};
use super::node::Node;

/// How long everything may take that must happen in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Mends everything and checks what can be checked only then.
pub(super) async fn settle(history: &mut History) {
    let world = history.cluster.world.clone();
    {
        let mut faults = world.faults();
        let clock_stands = faults.clock_stands;
        *faults = Faults { latency_ms: 2, clock_stands, ..Faults::default() };
    }
    world.note(format_args!("all is mended"));
    // Longer than a caller waits, a record is late, or a process is held up.
    sleep(Duration::from_millis(1_500)).await;
    history.check();
    if history.callers.open() > 0 {
        world.violate("L8 a call was never answered");
    }
    history.nodes.drain(..).for_each(Node::kill);
    let node = history.cluster.start("last");
    if !wait_for_owner(&node).await {
        world.violate("L1 a process that is alone never owns the log");
    }
    history.nodes.push(node);
    for (number, counter) in (1_000_000..).zip(COUNTERS) {
        history.callers.send(&history.nodes[0], counter, CounterCommand::Raise { number });
        history.callers.send(&history.nodes[0], counter, CounterCommand::Look {});
    }
    sleep(Duration::from_secs(1)).await;
    repeat_all(history).await;
    history.check();
    history.callers.check_not_done();
    history.callers.check_rows();
    check_readers(history);
    resume_all(&history.nodes[0]).await;
    check_views(history).await;
    verify(history).await;
}

/// L4: whatever was answered is answered again, by a process that knows the log alone.
async fn repeat_all(history: &History) {
    for repeat in history.callers.repeats() {
        history.callers.send_repeatable(&history.nodes[0], repeat);
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_secs(1)).await;
}

/// Whether it owned every partition before patience was over.
pub(super) async fn wait_for_owner(node: &Node) -> bool {
    let begun = Instant::now();
    while !node.is_owner() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        sleep(Duration::from_millis(20)).await;
    }
    true
}

/// L5: every reader computes the same, whatever offset it starts from.
fn check_readers(history: &History) {
    let (world, broker) = (&history.cluster.world, &history.cluster.broker);
    for partition in (0..history.cluster.partitions).map(Partition) {
        let records = broker.contents(partition);
        let truth = world.truth().ledger(partition.0).marks().to_vec();
        let mut tracker = Tracker::default().checking(history.cluster.checks);
        let from = world.chance.index(records.len().max(1));
        let mut resumed: Option<Tracker> = None;
        for (at, (record, expected)) in records.iter().zip(&truth).enumerate() {
            if at >= from && resumed.is_none() {
                let checkpoint = tracker.checkpoint();
                resumed = checkpoint.map(|checkpoint| Tracker::resume(&checkpoint));
            }
            let counts = |tracker: &mut Tracker| {
                let mark = tracker.step(record.offset, record.time, &record.stamp, &record.value);
                (record.offset.0, matches!(mark, Mark::Counts | Mark::Claim))
            };
            if counts(&mut tracker) != *expected {
                return world.violate(&format!("L5 a reader is wrong about {}", record.offset));
            }
            if resumed.as_mut().is_some_and(|resumed| counts(resumed) != *expected) {
                return world.violate(&format!("L5 a reader from {from} is wrong"));
            }
        }
        if records.len() != truth.len() {
            world.violate("L1 a record that landed is gone");
        }
    }
}

/// R1: in the end every view is what the log says, at the log's end.
async fn check_views(history: &History) {
    let world = &history.cluster.world;
    let last = |partition: Partition| {
        let last = history.cluster.broker.contents(partition).last()?.offset;
        Some(Position { partition, offset: Offset(last.0) })
    };
    let all: Positions = (0..history.cluster.partitions).map(Partition).filter_map(last).collect();
    let counters = COUNTERS.map(Some).into_iter().chain([None]);
    for counter in counters {
        let begun = Instant::now();
        loop {
            let home = counter.map(|counter| history.callers.partition_of(counter));
            let is_home = |at: &Position| home.is_none_or(|home| home == at.partition);
            let after: Positions = all.iter().filter(is_home).collect();
            let views = &history.nodes[0].views;
            match history.callers.ask(views, counter, &after, Duration::from_secs(5)).await {
                Ok(_) | Err(QueryError::NotFound { .. }) => break,
                Err(error) if begun.elapsed() > PATIENCE => {
                    return world.violate(&format!("R5 the views never heal: {error}"));
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// Nobody resumes what was paused by a process that was killed before it did.
async fn resume_all(node: &Node) {
    for name in [Tallies::NAME, Total::NAME] {
        while node.operations.resume(name).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// R1: in the end every view is what the log makes of it, whatever was replayed, rolled back and
/// broken off before.
async fn verify(history: &History) {
    let (world, verifications) = (&history.cluster.world, &history.nodes[0].verifications);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        sleep(Duration::from_millis(100)).await;
        let Ok(id) = verifications.start(None) else { continue };
        let state = loop {
            match verifications.get(id).map(|it| it.state) {
                Some(VerificationState::Running) => sleep(Duration::from_millis(20)).await,
                state => break state,
            }
        };
        match state {
            Some(VerificationState::Equal) => return,
            Some(VerificationState::Differs) => {
                let found = verifications.get(id).and_then(|it| it.compared.first);
                return world.violate(&format!("R1 a view is not what the log makes: {found:?}"));
            }
            _ => {}
        }
    }
    world.violate("R1 the views can never be verified");
}
