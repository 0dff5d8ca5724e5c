//! The threads of the service: some for requests, others for projections, and others for replays.
//!
//! The first two take no processor time from each other, and each has few threads, because a
//! thread that is woken for a share of another's work costs more than the share. A replay has all
//! its work at hand, and uses every processor.

use std::thread::available_parallelism;

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use crate::config::Config;

pub(super) struct Threads {
    pub(super) requests: Runtime,
    pub(super) projections: Runtime,
    pub(super) replays: Runtime,
}

impl Threads {
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let processors = available_parallelism().map_or(1, usize::from);
        Ok(Self {
            requests: start("requests", count(config.http.threads, processors))?,
            projections: start("projections", count(config.read.threads, processors))?,
            replays: start("replays", processors)?,
        })
    }
}

fn start(name: &str, count: usize) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    let built = builder.worker_threads(count).thread_name(name).enable_all().build();
    built.with_context(|| format!("no threads for {name}"))
}

/// What a setting means; half of the processors are left to librdkafka and to the other half.
const fn count(threads: usize, processors: usize) -> usize {
    match threads {
        0 if processors < 4 => 1,
        0 => processors / 2,
        given => given,
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn half_of_the_processors_unless_somebody_says_otherwise() {
        let all = [(0, 1), (0, 2), (0, 3), (0, 4), (0, 9), (5, 2)];
        assert_eq!(all.map(|(threads, processors)| count(threads, processors)), [1, 1, 1, 2, 4, 5]);
    }
}
