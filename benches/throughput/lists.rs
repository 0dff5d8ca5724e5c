//! Pages of a list by index over a million views, beside a view by key of the same service.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::batch;
use crate::client::Connection;
use crate::load::{self, Sample};
use crate::measured::{Fact, Measured, SingleRow, median};
use crate::stage::{ALL_BUT_ACCOUNTS, ALL_PROJECTIONS, PARTITIONS, Stage};
use crate::steps::{self, Request};

const BATCHES: u64 = 4;
/// Views of a page.
const LIMIT: u64 = 50;
/// How long the views may take to be built.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    let (views, topic) = (stage.views, stage.topic("lists"));
    eprintln!("lists: {views} accounts");
    let paused = stage.service(&topic, PARTITIONS, ALL_PROJECTIONS)?;
    for line in [batch::open, batch::deposit_of_many_sizes] {
        let sent = batch::send(paused.address, BATCHES, views / BATCHES, line).await?;
        ensure!(sent.undone == 0, "{} lines were not done", sent.undone);
    }
    paused.stop()?;
    let service = stage.service(&topic, PARTITIONS, ALL_BUT_ACCOUNTS)?;
    until_there(&mut Connection::open(service.address).await?, views).await?;
    stage.quiet(&[&service]).await?;
    let by_key = || {
        let write = move |_, random| steps::view(random % views, "");
        load::measure(stage, &service, 1, Request { status: 200, write })
    };
    let by_index = || {
        let write = move |_, random: u64| {
            let least = random % batch::SIZES;
            let order = if random.is_multiple_of(2) { "" } else { "-" };
            let query = format!("balance.gte={least}&sort={order}balance&limit={LIMIT}");
            steps::get(&format!("/projections/accounts?{query}"))
        };
        load::measure(stage, &service, 1, Request { status: 200, write })
    };
    let (mut keys, mut pages) = (vec![by_key().await?], Vec::new());
    for _ in 0..stage.rounds {
        pages.push(by_index().await?);
        keys.push(by_key().await?);
    }
    let p50 = |sample: &Sample| sample.p50_micros as f64;
    let ratios = pages.iter().zip(keys.windows(2));
    let ratio = median(ratios.map(|(it, near)| 2.0 * p50(it) / (p50(&near[0]) + p50(&near[1]))));
    measured.facts.push(Fact {
        what: format!(
            "a list of {LIMIT} by index over {views} views, beside a view by key: p50 at one \
             connection"
        ),
        figure: format!(
            "{:.0} µs beside {:.0} µs: {ratio:.2} times",
            median(pages.iter().map(p50)),
            median(keys.iter().map(p50))
        ),
        goal: "at most 5 times".to_owned(),
    });
    let sample = *pages.last().unwrap_or(&keys[0]);
    measured.singles.push(SingleRow { name: "lists of 50 by index", connections: 1, sample });
    service.stop()
}

/// Waits until all views are built, the last of them by every order.
async fn until_there(connection: &mut Connection, views: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    let last = views - 1;
    loop {
        let answer = connection.exchange(&steps::view(last, "")).await?;
        if answer.status == 200 {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "the views are not built in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
