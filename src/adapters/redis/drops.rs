//! Dropping a space, in steps: the values by the index that lists them, then indexes and maps by
//! the set that the commits keep. Every step removes the checkpoint, if there is one again.

use bytes::Bytes;
use redis::{Cmd, Value};

use crate::ports::{Dropped, KEY_INDEX, Space, StoreError};

use super::RedisViews;
use super::fault::fault;
use super::reads::{bytes, elements};

impl RedisViews {
    pub(super) async fn drop_some(
        &self,
        space: &Space,
        keys_max: usize,
    ) -> Result<Dropped, StoreError> {
        let of = self.keys.of(space);
        let keys_max = keys_max.max(1);
        let index = of.index(KEY_INDEX);
        let mut listed = redis::cmd("ZRANGE");
        listed.arg(&index).arg(0).arg(keys_max - 1);
        let members = self.listed(space, &listed).await?;
        if !members.is_empty() {
            let prefix = of.key("");
            let keys: Vec<_> = members.iter().map(|m| [prefix.as_bytes(), m].concat()).collect();
            self.remove(space, "ZREM", &index, &keys, &members).await?;
            return Ok(Dropped::More);
        }
        let mut listed = redis::cmd("SRANDMEMBER");
        listed.arg(of.parts()).arg(keys_max);
        let parts = self.listed(space, &listed).await?;
        let had_checkpoint = self.remove(space, "SREM", &of.parts(), &parts, &parts).await?;
        // Whoever has begun the space anew may have put something where we have looked already.
        let is_all = parts.len() < keys_max && !had_checkpoint;
        Ok(if is_all { Dropped::All } else { Dropped::More })
    }

    /// A list of a wrong type lists nothing: a drop must be able to end.
    async fn listed(&self, space: &Space, cmd: &Cmd) -> Result<Vec<Bytes>, StoreError> {
        let answer = match self.writes.call(cmd).await {
            Err(error) if error.code() == Some("WRONGTYPE") => return Ok(Vec::new()),
            answer => answer.map_err(|error| fault(space, &error))?,
        };
        let listed = elements(space, answer)?.into_iter().map(|value| bytes(space, value));
        listed.filter_map(Result::transpose).collect()
    }

    async fn remove(
        &self,
        space: &Space,
        command: &str,
        list: &str,
        keys: &[impl AsRef<[u8]> + Sync],
        members: &[Bytes],
    ) -> Result<bool, StoreError> {
        let of = self.keys.of(space);
        let add = |cmd: &mut Cmd| {
            cmd.arg(of.checkpoint()).arg(list);
            for key in keys {
                cmd.arg(key.as_ref());
            }
            cmd.arg(command).arg(of.channel());
            for member in members {
                cmd.arg(&member[..]);
            }
        };
        let answer = self.scripts.drop.run(&self.writes, 2 + keys.len(), add).await;
        Ok(answer.map_err(|error| fault(space, &error))? == Value::Int(1))
    }
}
