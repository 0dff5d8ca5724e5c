//! One fault each, on real servers, while clients work; `scene` proves the laws after each.

use std::time::Duration;

use crate::support::app::Answer;
use crate::support::kafka::{OwnBroker, shared_brokers};
use crate::support::redis::{RedisServer, shared_url};

use super::history::Outcome;
use super::scene::{Counts, Scene};

/// Answers between two faults.
const SOME: usize = 150;

/// How long what is stopped stays so.
const STOPPED: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread")]
async fn laws_hold_when_the_service_is_killed_under_load() {
    let mut scene = Scene::start(&shared_brokers(), &shared_url()).await;
    for _ in 0..2 {
        scene.kill_and_restart().await;
        scene.answers(SOME, Outcome::is_final).await;
    }
    assert_happened(&scene.prove().await, &["unknown"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn laws_hold_when_the_service_is_stopped_and_goes_on() {
    let scene = Scene::start(&shared_brokers(), &shared_url()).await;
    for _ in 0..2 {
        scene.services[0].pause();
        tokio::time::sleep(STOPPED).await;
        scene.services[0].resume();
        scene.answers(SOME, Outcome::is_final).await;
    }
    assert_happened(&scene.prove().await, &[]);
}

/// The first service holds the same partitions, and does not know that it was deposed while it was
/// stopped.
#[tokio::test(flavor = "multi_thread")]
async fn laws_hold_when_a_zombie_wakes_up_beside_its_successor() {
    let mut scene = Scene::start(&shared_brokers(), &shared_url()).await;
    scene.succeed().await;
    scene.answers(SOME, Outcome::is_final).await;
    scene.wake_zombie();
    scene.answers(SOME, Outcome::is_final).await;
    let is_deposed = |answer: &Answer| answer.json().to_string().contains("partition_deposed");
    scene.services[0].eventually("/health/ready", is_deposed).await;
    assert_happened(&scene.prove().await, &["not done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn laws_hold_when_the_broker_is_killed_and_comes_back() {
    let broker = OwnBroker::start();
    let scene = Scene::start(broker.brokers(), &shared_url()).await;
    broker.crash().await;
    scene.answers(1, |outcome| !outcome.is_final()).await;
    broker.restart().await;
    scene.answers(SOME, Outcome::is_final).await;
    assert_happened(&scene.prove().await, &["not done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn laws_hold_when_redis_is_killed_and_keeps_what_it_had() {
    let redis = RedisServer::start(&["--appendonly", "yes"]);
    let scene = Scene::start(&shared_brokers(), redis.url()).await;
    for _ in 0..2 {
        redis.kill();
        scene.answers(20, |_| true).await;
        redis.restart();
        scene.answers(SOME, Outcome::is_final).await;
    }
    assert_happened(&scene.prove().await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn laws_hold_when_redis_is_emptied() {
    let redis = RedisServer::start(&[]);
    let mut scene = Scene::start(&shared_brokers(), redis.url()).await;
    for _ in 0..2 {
        redis.empty().await;
        scene.answers(SOME, Outcome::is_final).await;
    }
    // A writer that begins with nothing but the log.
    redis.empty().await;
    scene.kill_and_restart().await;
    scene.answers(SOME, Outcome::is_final).await;
    assert_happened(&scene.prove().await, &[]);
}

/// It comes back with what it held at an earlier moment, at first under a service that knows
/// better, then under one that knows nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn laws_hold_when_redis_is_set_back() {
    let redis = RedisServer::start(&[]);
    let mut scene = Scene::start(&shared_brokers(), redis.url()).await;
    redis.save().await;
    scene.answers(SOME, Outcome::is_final).await;
    for _ in 0..2 {
        redis.kill();
        redis.restart();
        scene.answers(SOME, Outcome::is_final).await;
        scene.kill_and_restart().await;
        scene.answers(SOME, Outcome::is_final).await;
    }
    assert_happened(&scene.prove().await, &[]);
}

/// A history without these shows less than it says.
#[track_caller]
fn assert_happened(counts: &Counts, more: &[&str]) {
    let always = ["done", "done before", "refused", "refused before", "another version"];
    for name in always.iter().chain(more) {
        assert!(counts.contains_key(name), "`{name}` never happened: {counts:?}");
    }
}
