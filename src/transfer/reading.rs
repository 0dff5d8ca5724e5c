//! Reading a log patiently: what may pass is waited for.

use std::time::Duration;

use tokio::time::Instant;

use crate::ports::{Chunk, LogError, LogReader};

/// How long a log may give no answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries.
const RETRY_DELAY: Duration = Duration::from_millis(200);

const RECORDS_MAX: usize = 2_000;
const BYTES_MAX: usize = 1 << 20;

/// The next records, or the end.
pub(super) async fn next_chunk(reader: &mut dyn LogReader) -> Result<Chunk, LogError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match reader.next(RECORDS_MAX, BYTES_MAX).await {
            Err(error) if error.is_retryable() && Instant::now() < deadline => {
                tokio::time::sleep(RETRY_DELAY).await;
            }
            read => return read,
        }
    }
}
