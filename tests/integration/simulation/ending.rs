//! The end of a history: everything is mended, a last process takes over, and what it does and
//! shows is compared with the log to the last record.

use std::time::Duration;

use retell::log::{Mark, Tracker};
use retell::read::QueryError;
use retell::{Offset, Partition, Position, Positions, Target, Version};
use tokio::time::{Instant, sleep};

use super::counter::CounterCommand;
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
    check_readers(history);
    check_views(history).await;
    check_histories(history).await;
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

/// R1: in the end the history of every counter has each of its commits once, and nothing else.
async fn check_histories(history: &History) {
    let world = &history.cluster.world;
    for counter in COUNTERS {
        let partition = history.callers.partition_of(counter);
        let mut expected: Vec<Offset> = {
            let truth = world.truth();
            let facts = truth.ledger(partition.0).facts(counter);
            facts.iter().map(|fact| Offset(fact.offset)).collect()
        };
        let versions = expected.len() as u64;
        expected.dedup();
        let end = history.cluster.broker.contents(partition).last().map(|last| last.offset);
        let after = end.map(|offset| Position { partition, offset }).into_iter().collect();
        match read_history(history, counter, partition, &after).await {
            Ok(found) if found == (versions, expected) => {}
            Ok(_) => return world.violate(&format!("R1 the history of {counter} is another")),
            Err(error) => return world.violate(&format!("R5 no history of {counter}: {error}")),
        }
    }
}

/// The version of a counter, and where its commits are.
async fn read_history(
    history: &History,
    counter: &str,
    partition: Partition,
    after: &Positions,
) -> Result<(u64, Vec<Offset>), QueryError> {
    let target = Target::parse(format!("counter/{counter}").as_bytes()).expect("a target");
    let views = &history.nodes[0].views;
    let begun = Instant::now();
    loop {
        let reading = async {
            let known = views.aggregate(&target, partition, after, Duration::from_secs(5)).await?;
            let mut commits = known.commits(Version(1), known.version());
            let mut offsets = Vec::new();
            loop {
                let records = commits.next().await?;
                if records.is_empty() {
                    return Ok((known.version().0, offsets));
                }
                offsets.extend(records.iter().map(|record| record.offset));
            }
        };
        match reading.await {
            Err(_) if begun.elapsed() < PATIENCE => sleep(Duration::from_millis(100)).await,
            read => return read,
        }
    }
}
