//! The generations of a projection: a hash from revision to JSON, in a slot of its own.

use std::collections::BTreeMap;

use redis::{Cmd, Value};

use crate::ports::{Pointer, StoreError};

use super::RedisViews;
use super::fault::{fault, torn};

impl RedisViews {
    pub(super) async fn read_pointers(
        &self,
        projection: &str,
    ) -> Result<BTreeMap<u32, Pointer>, StoreError> {
        let mut hgetall = redis::cmd("HGETALL");
        hgetall.arg(self.keys.generations(projection));
        let answer = self.reads.call(&hgetall).await.map_err(|error| fault(&projection, &error))?;
        let Value::Map(fields) = answer else {
            return Err(torn(&projection, &format!("HGETALL answers {answer:?}")));
        };
        let pointers = fields.into_iter().map(|(revision, json)| {
            let revision = text(&revision).and_then(|text| text.parse().ok());
            let revision = revision.ok_or_else(|| torn(&projection, &"no revision"))?;
            Ok((revision, parse(projection, text(&json).unwrap_or_default())?))
        });
        pointers.collect()
    }

    /// Pointers are compared as what they mean and exchanged as the text that was compared.
    pub(super) async fn replace_pointer(
        &self,
        projection: &str,
        revision: u32,
        expected: Option<&Pointer>,
        new: &Pointer,
    ) -> Result<bool, StoreError> {
        let key = self.keys.generations(projection);
        let mut hget = redis::cmd("HGET");
        hget.arg(&key).arg(revision);
        let found = self.reads.call(&hget).await.map_err(|error| fault(&projection, &error))?;
        let found = text(&found).unwrap_or_default();
        let is_expected = match found {
            "" => expected.is_none(),
            json => expected == Some(&parse(projection, json)?),
        };
        if !is_expected {
            return Ok(false);
        }
        let json = serde_json::to_string(new).expect("a pointer has string keys only");
        let add = |cmd: &mut Cmd| {
            cmd.arg(&key).arg(revision).arg(found).arg(&json);
        };
        let answer = self.scripts.set_pointer.run(&self.writes, 1, add).await;
        Ok(answer.map_err(|error| fault(&projection, &error))? == Value::Int(1))
    }
}

fn parse(projection: &str, json: &str) -> Result<Pointer, StoreError> {
    serde_json::from_str(json).map_err(|error| torn(&projection, &format!("a pointer: {error}")))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}
