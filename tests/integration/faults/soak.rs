//! Faults in a random order, several in one history; `make soak` goes on with them for ever.

use std::time::{Duration, Instant};

use crate::simulation::chance::Chance;
use crate::support::kafka::OwnBroker;
use crate::support::redis::RedisServer;

use super::history::Outcome;
use super::scene::Scene;

/// Faults of one history.
const FAULTS: u64 = 3;

/// What can go wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    ServiceKilled,
    ServiceStopped,
    Deposed,
    BrokerKilled,
    RedisKilled,
    RedisEmptied,
    RedisSaved,
}

const ALL: [Fault; 7] = [
    Fault::ServiceKilled,
    Fault::ServiceStopped,
    Fault::Deposed,
    Fault::BrokerKilled,
    Fault::RedisKilled,
    Fault::RedisEmptied,
    Fault::RedisSaved,
];

/// One history, or as many as there is time for where `RETELL_SOAK_SECONDS` is set; 0: for ever.
#[tokio::test(flavor = "multi_thread")]
async fn laws_hold_whatever_happens_to_the_servers() {
    let seconds = std::env::var("RETELL_SOAK_SECONDS").map(|it| it.parse().expect("a number"));
    let (begun, broker, redis) = (Instant::now(), OwnBroker::start(), RedisServer::start(&[]));
    let chance = Chance::new(rand::random());
    loop {
        live(&chance, &broker, &redis).await;
        match seconds {
            Ok(0) => {}
            Ok(seconds) if begun.elapsed() < Duration::from_secs(seconds) => {}
            _ => return,
        }
    }
}

async fn live(chance: &Chance, broker: &OwnBroker, redis: &RedisServer) {
    let mut scene = Scene::start(broker.brokers(), redis.url()).await;
    for _ in 0..FAULTS {
        let fault = *chance.pick(&ALL);
        println!("{fault:?}");
        happen(fault, chance, &mut scene, broker, redis).await;
        let some = 20 + usize::try_from(chance.below(100)).expect("few");
        scene.answers(some, Outcome::is_final).await;
    }
    scene.prove().await;
}

async fn happen(
    fault: Fault,
    chance: &Chance,
    scene: &mut Scene,
    broker: &OwnBroker,
    redis: &RedisServer,
) {
    let some_time = chance.millis(800);
    match fault {
        Fault::ServiceKilled => scene.kill_and_restart().await,
        Fault::ServiceStopped => {
            let service = scene.services.last().expect("there is one");
            service.pause();
            tokio::time::sleep(some_time).await;
            service.resume();
        }
        Fault::Deposed => {
            scene.succeed().await;
            tokio::time::sleep(some_time).await;
            scene.wake_zombie();
        }
        Fault::BrokerKilled => {
            broker.crash().await;
            tokio::time::sleep(some_time).await;
            broker.restart().await;
        }
        Fault::RedisKilled => {
            redis.kill();
            tokio::time::sleep(some_time).await;
            redis.restart();
        }
        Fault::RedisEmptied => redis.empty().await,
        // What it holds after it was killed the next time.
        Fault::RedisSaved => redis.save().await,
    }
}
