//! The laws of bookmarks. Each is one function; every adapter runs all.

use std::sync::Arc;

use retell::Partition;
use retell::adapters::embedded::EmbeddedBookmarks;
use retell::adapters::kafka::KafkaBookmarks;
use retell::adapters::memory::MemoryBookmarks;
use retell::log::Checkpoint;
use retell::ports::{Bookmarks, LogError};

use crate::support::kafka::{new_log_at, new_topic, shared_brokers};
use crate::support::log::{P0, P1, checkpoint};
use crate::support::log_config;
use crate::support::writers::PATIENCE;

/// Opens the same bookmarks as another process would; `Arc` where they are in this one.
type Open<'o> = &'o dyn Fn() -> Arc<dyn Bookmarks>;

/// What is found. A broker that has just started may not know yet who keeps it: as a service does,
/// this asks again.
async fn find(bookmarks: &dyn Bookmarks, name: &str, partition: Partition) -> Option<Checkpoint> {
    patiently(|| bookmarks.find(name, partition)).await
}

async fn keep(bookmarks: &dyn Bookmarks, name: &str, partition: Partition, next: u64) {
    let checkpoint = checkpoint(next);
    patiently(|| bookmarks.keep(name, partition, &checkpoint)).await;
}

async fn patiently<T>(ask: impl AsyncFn() -> Result<T, LogError>) -> T {
    let asking = async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("an answer in time")
}

async fn law_1_what_was_kept_last_is_read_by_another_process(open: Open<'_>) {
    let first = open();
    assert_eq!(find(&*first, "policy.one", P0).await, None);
    for next in [5, 9] {
        keep(&*first, "policy.one", P0, next).await;
        let found = find(&*first, "policy.one", P0).await;
        assert_eq!(found, Some(checkpoint(next)));
    }
    drop(first);
    let found = find(&*open(), "policy.one", P0).await;
    assert_eq!(found, Some(checkpoint(9)));
}

async fn law_2_names_and_partitions_have_nothing_in_common(open: Open<'_>) {
    let all = open();
    keep(&*all, "policy.a", P0, 1).await;
    keep(&*all, "policy.a", P1, 2).await;
    keep(&*all, "policy.b", P0, 3).await;
    for (name, partition, next) in [
        ("policy.a", P0, Some(1)),
        ("policy.a", P1, Some(2)),
        ("policy.b", P0, Some(3)),
        ("policy.b", P1, None),
    ] {
        let found = find(&*all, name, partition).await;
        assert_eq!(found, next.map(checkpoint), "{name} of {partition}");
    }
}

async fn every_law(open: Open<'_>) {
    law_1_what_was_kept_last_is_read_by_another_process(open).await;
    law_2_names_and_partitions_have_nothing_in_common(open).await;
}

#[tokio::test]
async fn memory_keeps_the_laws() {
    let kept: Arc<dyn Bookmarks> = Arc::new(MemoryBookmarks::default());
    every_law(&|| kept.clone()).await;
}

#[tokio::test]
async fn embedded_keeps_the_laws() {
    let folder = tempfile::tempdir().expect("a folder");
    every_law(&|| Arc::new(EmbeddedBookmarks::beside(folder.path()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_keeps_the_laws() {
    let config = log_config(2);
    let address = new_topic(&shared_brokers());
    new_log_at(&address, &config).await;
    every_law(&|| Arc::new(KafkaBookmarks::beside(&address, &config))).await;
}
