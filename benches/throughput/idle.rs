//! A node with nothing to do: it must not spend processor time.

use std::time::{Duration, Instant};

use crate::measured::{Idle, Measured};
use crate::stage::Stage;

const PARTITIONS: u32 = 8;
/// What a start leaves to be done.
const SETTLING: Duration = Duration::from_secs(5);
const WATCHED: Duration = Duration::from_secs(10);

pub(crate) async fn measure(stage: &Stage, measured: &mut Measured) -> anyhow::Result<()> {
    eprintln!("idle");
    let service = stage.service(&stage.topic("idle"), PARTITIONS, "")?;
    stage.fill(&service, 100, 0).await?;
    tokio::time::sleep(SETTLING).await;
    let (began, before) = (Instant::now(), stage.cpu(&service));
    tokio::time::sleep(WATCHED).await;
    let (seconds, spent) = (began.elapsed().as_secs_f64(), stage.cpu(&service).since(&before));
    let share = |spent: Duration| spent.as_secs_f64() / seconds;
    measured.idle = Some(Idle {
        partitions: PARTITIONS,
        seconds,
        service_share: share(spent.server),
        kafka_share: share(spent.kafka),
        redis_share: share(spent.redis),
        goal: 0.01,
    });
    service.stop()
}
