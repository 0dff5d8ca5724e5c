//! Reading: values and their checkpoint in one command, so that they are of one moment.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use redis::{Cmd, Value};

use crate::ports::{Listed, RangeQuery, Space, SpaceState, StoreError};

use super::RedisViews;
use super::fault::{fault, torn};

impl RedisViews {
    /// A key that holds no string reads as absent, like one that somebody removed by hand; the
    /// next commit to it finds out.
    pub(super) async fn read_values(
        &self,
        space: &Space,
        keys: &[String],
    ) -> Result<(SpaceState, Vec<Option<Bytes>>), StoreError> {
        let of = self.keys.of(space);
        let mut mget = redis::cmd("MGET");
        mget.arg(of.checkpoint());
        for key in keys {
            mget.arg(of.key(key));
        }
        let answer = self.reads.call(&mget).await.map_err(|error| fault(space, &error))?;
        let mut values = elements(space, answer)?.into_iter().map(|value| bytes(space, value));
        let state = state(space, values.next().transpose()?.flatten())?;
        let values: Vec<_> = values.collect::<Result<_, _>>()?;
        if values.len() != keys.len() {
            return Err(torn(space, &"MGET answers other keys than it was asked for"));
        }
        Ok((state, values))
    }

    pub(super) async fn read_fields(
        &self,
        space: &Space,
        map: &str,
    ) -> Result<(SpaceState, BTreeMap<String, Bytes>), StoreError> {
        let of = self.keys.of(space);
        let add = |cmd: &mut Cmd| {
            cmd.arg(of.checkpoint()).arg(of.key(map));
        };
        let answer = self.scripts.read_map.run(&self.reads, 2, add).await;
        let (state, fields) = with_state(space, answer.map_err(|error| fault(space, &error))?)?;
        let mut fields = fields.into_iter();
        let mut map = BTreeMap::new();
        while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
            let field = String::from_utf8(field.to_vec())
                .map_err(|_| torn(space, &"a field's name is no text"))?;
            map.insert(field, value);
        }
        Ok((state, map))
    }

    pub(super) async fn read_range(
        &self,
        space: &Space,
        query: &RangeQuery,
    ) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
        let of = self.keys.of(space);
        let add = |cmd: &mut Cmd| {
            cmd.arg(of.checkpoint()).arg(of.index(&query.index));
            add_range(cmd, query);
        };
        let answer = self.scripts.range.run(&self.reads, 2, add).await;
        with_state(space, answer.map_err(|error| fault(space, &error))?)
    }

    pub(super) async fn read_page(
        &self,
        space: &Space,
        query: &RangeQuery,
        bytes_max: usize,
    ) -> Result<(SpaceState, Vec<Listed>), StoreError> {
        let of = self.keys.of(space);
        let add = |cmd: &mut Cmd| {
            cmd.arg(of.checkpoint()).arg(of.index(&query.index));
            add_range(cmd, query);
            cmd.arg(of.key("")).arg(bytes_max);
        };
        let answer = self.scripts.page.run(&self.reads, 2, add).await;
        let [checkpoint, members, values] =
            parts(space, answer.map_err(|error| fault(space, &error))?)?;
        let state = state(space, bytes(space, checkpoint)?)?;
        // A page that is full of bytes has fewer values than members: those are not on it.
        let page = elements(space, members)?.into_iter().zip(elements(space, values)?);
        let page = page.map(|(member, value)| {
            Ok(Listed { member: some_bytes(space, member)?, value: bytes(space, value)? })
        });
        Ok((state, page.collect::<Result<_, StoreError>>()?))
    }
}

/// What to give out of an index, as our scripts want it.
fn add_range(cmd: &mut Cmd, query: &RangeQuery) {
    let (from, to) = (bound(&query.from, b'-'), bound(&query.to, b'+'));
    let (first, last) = if query.descending { (&to, &from) } else { (&from, &to) };
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    cmd.arg(first).arg(last).arg(limit).arg(u8::from(query.descending));
}

/// As `ZRANGE … BYLEX` wants it.
fn bound(bound: &Bound<Bytes>, unbounded: u8) -> Vec<u8> {
    match bound {
        Bound::Included(member) => [b"[", &member[..]].concat(),
        Bound::Excluded(member) => [b"(", &member[..]].concat(),
        Bound::Unbounded => vec![unbounded],
    }
}

/// A checkpoint and a list, as our scripts answer.
fn with_state(space: &Space, answer: Value) -> Result<(SpaceState, Vec<Bytes>), StoreError> {
    let [checkpoint, list] = parts(space, answer)?;
    let state = state(space, bytes(space, checkpoint)?)?;
    let list = elements(space, list)?.into_iter().map(|value| some_bytes(space, value));
    Ok((state, list.collect::<Result<_, _>>()?))
}

/// The parts of a script's answer.
fn parts<const N: usize>(space: &Space, answer: Value) -> Result<[Value; N], StoreError> {
    let parts = elements(space, answer)?;
    parts.try_into().map_err(|_| torn(space, &format!("a script does not answer {N} parts")))
}

fn some_bytes(space: &Space, value: Value) -> Result<Bytes, StoreError> {
    bytes(space, value)?.ok_or_else(|| torn(space, &"a script answers nothing for a member"))
}

fn state(space: &Space, checkpoint: Option<Bytes>) -> Result<SpaceState, StoreError> {
    SpaceState::from_text(space, checkpoint.as_deref())
}

pub(super) fn elements(space: &Space, value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(elements) | Value::Set(elements) => Ok(elements),
        other => Err(torn(space, &format!("Redis answers {other:?}, not a list"))),
    }
}

pub(super) fn bytes(space: &Space, value: Value) -> Result<Option<Bytes>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        Value::Nil => Ok(None),
        other => Err(torn(space, &format!("Redis answers {other:?}, not bytes"))),
    }
}
