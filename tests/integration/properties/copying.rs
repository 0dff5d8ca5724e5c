//! Laws of copies, over random logs with everything in them that does not count, and over every
//! way in which a copy may be broken off.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use retell::adapters::SystemClock;
use retell::adapters::memory::MemoryLog;
use retell::log::{Fold, Mark};
use retell::ports::EventLog;
use retell::transfer::Report;

use crate::support::breaking::{Breaking, Fault};
use crate::support::copies::{
    Place, Written, anything_written, commits, counting, read, write, written,
};
use crate::support::log::{P0, P1};
use crate::support::on_paused_time;
use crate::support::writers::partitions;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_copy_has_the_commits_that_count_and_nothing_else(log in vec(anything_written(), 1..4)) {
        on_paused_time(async {
            let source = written(&log).await;
            let target = empty(log.len());
            let report = Place::Log(Arc::new(source.clone())).copy_to(&place(&target)).await;
            let report = report.expect("copied");
            prop_assert!(report.is_equal(), "{report:?}");
            let commits = counting(&source).await;
            prop_assert_eq!(counting(&target).await, commits.clone());
            for (partition, commits) in target.partitions().iter().zip(&commits) {
                let claims = usize::from(!commits.is_empty());
                let records = read(&target, partition).await;
                prop_assert_eq!(records.len(), commits.len() + claims, "{:?}", records);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_copy_through_a_file_is_the_same_byte_for_byte(log in vec(anything_written(), 1..4)) {
        on_paused_time(async {
            let source = written(&log).await;
            let (file, target) = (Place::file(), empty(log.len()));
            Place::Log(Arc::new(source.clone())).copy_to(&file).await.expect("written");
            let restored = file.copy_to(&place(&target)).await.expect("restored");
            prop_assert!(restored.is_equal(), "{restored:?}");
            prop_assert_eq!(counting(&target).await, counting(&source).await);
            Ok(())
        })?;
    }

    /// Killed anywhere, once by each kind of failure, and meanwhile the source has grown.
    #[test]
    fn a_copy_that_was_broken_off_anywhere_goes_on_and_is_exact(
        log in vec(anything_written(), 1..4),
        more in anything_written(),
        fault in prop::sample::select(vec![
            Fault::Silence, Fault::Lost, Fault::LandedUnknown, Fault::Late, Fault::Odd, Fault::Dead,
        ]),
        at in 0..60_u64,
    ) {
        on_paused_time(async {
            let source = written(&log).await;
            let target = empty(log.len());
            let from = Place::Log(Arc::new(source.clone()));
            let broken = Arc::new(Breaking::at(target.clone(), fault, at));
            let first = in_time(from.copy_to(&Place::Log(broken.clone()))).await;
            prop_assert!(first.is_some() || fault == Fault::Silence, "{fault:?} goes by");
            let report = first.unwrap_or_else(|| Ok(nothing())).expect("it goes on by itself");
            prop_assert!(report.is_equal(), "{report:?}");
            write(&source, source.partitions().iter().next().expect("one"), &more).await;
            let report = in_time(from.copy_to(&place(&target))).await.expect("no silence");
            let report = report.expect("it goes on");
            prop_assert!(report.is_equal(), "{report:?}");
            prop_assert_eq!(counting(&target).await, counting(&source).await);
            let again = from.copy_to(&place(&target)).await.expect("verified");
            prop_assert!(again.is_equal() && again.copied() == 0, "{again:?}");
            Ok(())
        })?;
    }

    /// The two may have any beginning in common, in any partition.
    #[test]
    fn a_copy_of_another_log_is_gone_on_with_only_if_it_is_a_beginning(
        log in vec(few_commits(), 2),
        other in vec(few_commits(), 2),
    ) {
        on_paused_time(async {
            let (source, other) = (written(&log).await, written(&other).await);
            let target = empty(2);
            place(&other).copy_to(&place(&target)).await.expect("copied");
            let before = [read(&target, P0).await, read(&target, P1).await];
            let copied = place(&source).copy_to(&place(&target)).await;
            let (wanted, had) = (counting(&source).await, counting(&other).await);
            if wanted.iter().zip(&had).all(|(wanted, had)| wanted.starts_with(had)) {
                prop_assert!(copied.expect("it goes on").is_equal());
                prop_assert_eq!(counting(&target).await, wanted);
                return Ok(());
            }
            let refused = copied.expect_err("refused").to_string();
            prop_assert!(refused.ends_with("; nothing was written"), "{refused}");
            prop_assert_eq!([read(&target, P0).await, read(&target, P1).await], before);
            Ok(())
        })?;
    }

    #[test]
    fn a_target_that_holds_anything_else_is_refused_and_not_touched(
        log in vec(anything_written(), 1..3),
        other in anything_written(),
    ) {
        on_paused_time(async {
            let count = log.len();
            let source = written(&log).await;
            let target = empty(count);
            let last = target.partitions().iter().last().expect("one");
            write(&target, last, &other).await;
            let before = read(&target, last).await;
            let copied = Place::Log(Arc::new(source)).copy_to(&place(&target)).await;
            let mut fold = Fold::default();
            let marks: Vec<_> = before.iter().map(|record| fold.step(&record.stamp)).collect();
            if marks.iter().all(|mark| matches!(mark, Mark::Void(_))) {
                prop_assert!(copied.expect("what is void is nobody's").is_equal());
                return Ok(());
            }
            let refused = copied.expect_err("refused").to_string();
            prop_assert!(refused.ends_with("; nothing was written"), "{refused}");
            prop_assert_eq!(read(&target, last).await, before);
            for partition in target.partitions().iter().filter(|at| *at != last) {
                prop_assert_eq!(read(&target, partition).await, vec![]);
            }
            Ok(())
        })?;
    }
}

/// So few different ones that two lists often begin alike.
fn few_commits() -> impl Strategy<Value = Vec<Written>> {
    vec(prop::sample::select(vec!["1", "2"]).prop_map(str::to_owned), 0..4).prop_map(commits)
}

/// None when nothing happens any more.
async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(3_600), work).await.ok()
}

fn empty(count: usize) -> MemoryLog {
    let count = u32::try_from(count).expect("a few");
    MemoryLog::new(partitions(count), Arc::new(SystemClock))
}

fn place(log: &MemoryLog) -> Place {
    Place::Log(Arc::new(log.clone()))
}

fn nothing() -> Report {
    Report { partitions: Vec::new(), has_grown: false }
}
