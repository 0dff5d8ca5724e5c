//! How the places of outcomes are written into the state space.
//!
//! The map `segments` lists the segments. The places of one that is not sealed are in the map
//! `keys:NUMBER`, as they were committed; those of one that is are in its pages,
//! `page:NUMBER:PAGE`, with its filter in `filter:NUMBER`. Sixteen bytes a place: hash and offset.

use std::time::Duration;

use bytes::Bytes;

use crate::contract::Offset;
use crate::ports::{Change, SpaceState, StoreError};

use super::filter::Filter;
use super::outcomes::{IdHash, KEPT_MS, Listed, PageName, SegmentNumber};
use super::places::Places;
use super::space::StateSpace;
use super::unsaved::NewKey;

/// The map that has the list of segments in its only field.
const SEGMENTS: &str = "segments";
const LIST: &str = "list";
/// How long places are stored: longer than they are asked for.
const STORED_FOR: Duration = Duration::from_millis(KEPT_MS + 2 * 3_600_000);

impl StateSpace {
    /// The segments, and the space's state at that instant; `None` when the list is no list.
    pub(super) async fn read_segments(
        &self,
    ) -> Result<(SpaceState, Option<Vec<Listed>>), StoreError> {
        let (state, fields) = self.read_map(SEGMENTS).await?;
        let Some(list) = fields.get(LIST) else { return Ok((state, Some(Vec::new()))) };
        Ok((state, serde_json::from_slice(list).ok()))
    }

    /// The places of a segment that is not sealed.
    pub(super) async fn read_places(
        &self,
        number: SegmentNumber,
    ) -> Result<(SpaceState, Places), StoreError> {
        let (state, fields) = self.read_map(&map_of(number)).await?;
        let mut all: Vec<_> = fields.values().flat_map(|packed| unpack(packed)).collect();
        all.sort_by_key(|(_, offset)| *offset);
        let mut places = Places::default();
        all.into_iter().for_each(|(hash, offset)| places.add(hash, offset));
        Ok((state, places))
    }

    /// The filter of a sealed segment, if it is there.
    pub(super) async fn read_filter(
        &self,
        number: SegmentNumber,
    ) -> Result<(SpaceState, Option<Filter>), StoreError> {
        let (state, values) = self.read_values(&[filter_key(number)]).await?;
        let value = values.into_iter().next().flatten();
        Ok((state, value.and_then(|value| Filter::from_bytes(&value))))
    }

    /// Where these pages have a hash, the latest place first; `None` when one is missing.
    pub(super) async fn read_pages(
        &self,
        pages: &[PageName],
        hash: IdHash,
    ) -> Result<(SpaceState, Option<Vec<Offset>>), StoreError> {
        let keys: Vec<String> = pages.iter().map(|name| page_key(*name)).collect();
        let (state, values) = self.read_values(&keys).await?;
        let mut places = Vec::new();
        for value in values {
            let Some(page) = value else { return Ok((state, None)) };
            let found = unpack(&page).filter(|(other, _)| *other == hash);
            places.extend(found.map(|(_, offset)| offset));
        }
        places.sort_unstable_by(|one, other| other.cmp(one));
        Ok((state, Some(places)))
    }
}

/// The list of all segments as they are from now on.
pub(super) fn list(segments: &[Listed]) -> Change {
    let value = serde_json::to_vec(segments).expect("a list of numbers and times").into();
    Change::PutField { map: SEGMENTS.to_owned(), field: LIST.to_owned(), value, expires_in: None }
}

/// New places of each segment, as they came.
pub(super) fn add(keys: &[NewKey]) -> impl Iterator<Item = Change> {
    keys.chunk_by(|one, other| one.segment == other.segment).map(|keys| {
        let value = keys.iter().flat_map(|key| packed(key.hash, key.offset)).collect::<Vec<u8>>();
        Change::PutField {
            map: map_of(keys[0].segment),
            field: keys[0].offset.to_string(),
            value: value.into(),
            expires_in: Some(STORED_FOR),
        }
    })
}

/// A page of a segment that is being sealed.
pub(super) fn page(name: PageName, packed: Vec<u8>) -> Change {
    Change::Put { key: page_key(name), value: packed.into(), expires_in: Some(STORED_FOR) }
}

/// The filter of a segment whose pages are stored; its map goes, since it is not read any more.
pub(super) fn seal(number: SegmentNumber, filter: &Filter) -> [Change; 2] {
    let (key, value) = (filter_key(number), filter.to_bytes().into());
    let (map, field) = (map_of(number), String::new());
    let at_once = Some(Duration::from_millis(1));
    [
        Change::Put { key, value, expires_in: Some(STORED_FOR) },
        Change::PutField { map, field, value: Bytes::new(), expires_in: at_once },
    ]
}

pub(super) fn packed(hash: IdHash, offset: Offset) -> [u8; 16] {
    (u128::from(hash.0) << 64 | u128::from(offset.0)).to_be_bytes()
}

fn unpack(packed: &[u8]) -> impl Iterator<Item = (IdHash, Offset)> {
    let (pairs, _) = packed.as_chunks::<16>();
    pairs.iter().map(|pair| {
        let number = |bytes: &[u8]| u64::from_be_bytes(*bytes.first_chunk().expect("eight bytes"));
        (IdHash(number(&pair[..8])), Offset(number(&pair[8..])))
    })
}

fn map_of(SegmentNumber(number): SegmentNumber) -> String {
    format!("keys:{number}")
}

fn filter_key(SegmentNumber(number): SegmentNumber) -> String {
    format!("filter:{number}")
}

fn page_key(PageName { segment: SegmentNumber(number), page }: PageName) -> String {
    format!("page:{number}:{page}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_packed_into_sixteen_bytes_each() {
        let places: Vec<_> = (0..5).map(|n: u64| (IdHash(n << 40), Offset(n))).collect();
        let packed: Vec<u8> =
            places.iter().flat_map(|(hash, offset)| packed(*hash, *offset)).collect();
        assert_eq!(packed.len(), 80);
        assert!(unpack(&packed).eq(places));
    }
}
