//! What belongs together: the records of a correlation, of a cause, or of a command.

use std::time::Duration;

use crate::contract::{Offset, Partition, Position, Positions};

use super::super::queries::Views;
use super::super::query_error::QueryError;
use super::super::traces::{Trace, TraceBy, Traces, trace_key};
use super::docs;
use super::page::LogItem;

/// Places that are read at once, whatever the records weigh.
const BATCH_LEN: usize = 64;

/// The records of a trace, by partition, each in the order of its partition.
///
/// ```
/// use std::time::Duration;
///
/// use retell::{app::App, events::Metadata, read::TraceBy, write::SendOptions};
/// # use retell::doc::{Light, LightCommand};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::ephemeral().aggregate::<Light>(()).build().await?;
/// app.ready().await;
/// let metadata = Metadata { correlation_id: Some("evening".to_owned()), ..Metadata::default() };
/// let options = SendOptions { metadata, ..SendOptions::default() };
/// let done = app.commands().send::<Light>("hall", LightCommand::SwitchOn {}, options).await?;
/// let (after, wait) = (done.position.into(), Duration::from_secs(5));
/// let traced = app.views().trace(TraceBy::Correlation, "evening", 10, &after, wait).await?;
/// let (partition, item) = &traced.records[0];
/// assert_eq!((*partition, item.record.offset), (done.position.partition, done.position.offset));
/// # app.stop().await; Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Traced {
    /// Each with its partition.
    pub records: Vec<(Partition, LogItem)>,
    /// How many belong to it that are not here.
    pub more: u64,
    /// Everything up to here is known.
    pub positions: Positions,
}

impl Views {
    /// The records that belong to an id, as of at least these positions; waits for them at most
    /// this long. There are at most so many; which are left out when there are more, is not said.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn trace(
        &self,
        by: TraceBy,
        id: &str,
        limit: usize,
        after: &Positions,
        wait: Duration,
    ) -> Result<Traced, QueryError> {
        let inner = self.inner();
        let homes: Vec<Partition> = inner.log.partitions().iter().collect();
        let key = [trace_key(by, id)];
        let found = inner.docs(Traces::NAME, &homes, &key, after, wait).await?;
        let mut traced = Traced::default();
        let (mut left, mut bytes_left) = (limit, inner.records.config.page_bytes_max);
        for (Position { partition, offset }, values) in found.parts {
            traced.positions.add(Position { partition, offset });
            let Some(json) = values.into_iter().next().flatten() else { continue };
            let trace: Trace = docs::read(&found.live, &json)?;
            traced.more += trace.more;
            let mut places = inner.records.places(partition);
            let mut offsets: &[Offset] = &trace.offsets;
            while !offsets.is_empty() && left > 0 && bytes_left > 0 {
                let (batch, rest) = offsets.split_at(offsets.len().min(BATCH_LEN).min(left));
                let read = places.read(batch).await?;
                left -= read.len();
                let bytes: usize = read.iter().map(|record| record.value.len()).sum();
                bytes_left = bytes_left.saturating_sub(bytes);
                traced
                    .records
                    .extend(read.into_iter().map(LogItem::counting).map(|it| (partition, it)));
                offsets = rest;
            }
            traced.more += offsets.len() as u64;
        }
        Ok(traced)
    }
}
