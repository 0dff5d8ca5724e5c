//! Whether a Redis has evicted keys: then nobody can say which views it forgot, and all of a
//! namespace's spaces there lose their checkpoints, so that they are rebuilt from the log.
//!
//! Redis counts evictions from its start, and names each of its lives; what was dealt with is
//! kept beside the spaces. Should that be evicted too, the spaces are rebuilt once more.

use redis::{Value, from_redis_value};

use crate::ports::StoreError;

use super::check::field;
use super::fault::fault;
use super::keys::Keys;
use super::pool::Pool;
use super::servers::{Primary, Servers};

/// Keys that one step of the search looks at.
const SCAN_COUNT: u32 = 1_000;

/// Discards what can no longer be believed. `info` is what the server says of itself now.
pub(super) async fn discard(
    servers: &Servers,
    primary: &Primary,
    keys: &Keys,
    info: &str,
) -> Result<(), StoreError> {
    let count = field(info, "evicted_keys").unwrap_or("0");
    if count == "0" {
        return Ok(());
    }
    let now = format!("{}:{count}", field(info, "run_id").unwrap_or_default());
    let known = keys.evictions(primary.address.as_deref());
    let dealt_with = servers.call(redis::cmd("GET").arg(&known)).await;
    let dealt_with = dealt_with.map_err(|error| fault(&known, &error))?;
    if matches!(&dealt_with, Value::BulkString(text) if *text == now.as_bytes()) {
        return Ok(());
    }
    tracing::error!(evicted_keys = count, "Redis has evicted keys: all views are built again");
    discard_checkpoints(&primary.pool, keys).await?;
    // Last: whoever dies before begins again.
    let set = servers.call(redis::cmd("SET").arg(&known).arg(&now)).await;
    set.map_err(|error| fault(&known, &error)).map(drop)
}

async fn discard_checkpoints(pool: &Pool, keys: &Keys) -> Result<(), StoreError> {
    let pattern = keys.checkpoints_pattern();
    let mut cursor = "0".to_owned();
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
        let answer = pool.call(&scan).await.map_err(|error| fault(&pattern, &error))?;
        let unreadable = |error| StoreError::Unavailable(format!("SCAN cannot be read: {error}"));
        let (next, found): (String, Vec<Vec<u8>>) =
            from_redis_value(answer).map_err(|error| unreadable(error.to_string()))?;
        for checkpoint in found {
            let deleted = pool.call(redis::cmd("DEL").arg(checkpoint)).await;
            deleted.map_err(|error| fault(&pattern, &error))?;
        }
        if next == "0" {
            return Ok(());
        }
        cursor = next;
    }
}
