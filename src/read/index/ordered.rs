//! Values as bytes whose order is that of the values.
//!
//! Each value ends where it says, so values that stand behind each other are compared one by one,
//! and none can be taken for another. What is absent is `null`, and comes before everything else.

use crate::contract::INDEXED_TEXT_LEN_MAX;

/// What `null` is.
const NULL: u8 = 1;

/// What every other value begins with, except the whole numbers that fit no `i64`.
const PRESENT: u8 = 2;

/// What the whole numbers begin with that come behind every `i64`.
const LARGE: u8 = 3;

/// How a text goes on behind a zero byte: the byte is part of it, or it ends, or it was cut there.
const ZERO: u8 = 0xff;
const END: u8 = 1;
const CUT: u8 = 2;

/// The lowest bytes of any value that is not `null`.
pub(super) const LOWEST: &[u8] = &[PRESENT];

pub(super) fn null() -> Vec<u8> {
    vec![NULL]
}

pub(super) fn boolean(value: bool) -> Vec<u8> {
    vec![PRESENT, u8::from(value)]
}

pub(super) fn integer(value: i64) -> Vec<u8> {
    // With the sign flipped, bytes are in the order of the numbers.
    eight(PRESENT, value.cast_unsigned() ^ (1 << 63))
}

/// A whole number that may be beyond every `i64`.
pub(super) fn unsigned(value: u64) -> Vec<u8> {
    i64::try_from(value).map_or_else(|_| eight(LARGE, value), integer)
}

/// Both zeros are one.
pub(super) fn number(value: f64) -> Vec<u8> {
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    let is_negative = bits >> 63 == 1;
    eight(PRESENT, if is_negative { !bits } else { bits | (1 << 63) })
}

/// A text that is longer than an index tells apart is cut.
pub(super) fn text(value: &str) -> Vec<u8> {
    let bytes = value.as_bytes();
    let (bytes, end) = match bytes.get(..INDEXED_TEXT_LEN_MAX) {
        Some(first) if bytes.len() > first.len() => (first, CUT),
        _ => (bytes, END),
    };
    let mut ordered = Vec::with_capacity(bytes.len() + 3);
    ordered.push(PRESENT);
    for &byte in bytes {
        ordered.push(byte);
        if byte == 0 {
            ordered.push(ZERO);
        }
    }
    ordered.extend([0, end]);
    ordered
}

/// The first bytes behind everything that begins with these.
pub(super) fn behind(mut bytes: Vec<u8>) -> Vec<u8> {
    while let Some(last) = bytes.pop() {
        if let Some(next) = last.checked_add(1) {
            bytes.push(next);
            return bytes;
        }
    }
    bytes
}

fn eight(first: u8, number: u64) -> Vec<u8> {
    [&[first][..], &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a field may hold, compared as its values are.
    #[derive(Clone, Debug)]
    enum Held {
        Null,
        Boolean(bool),
        Integer(i128),
        Number(f64),
        Text(String),
    }

    fn ordered(held: &Held) -> Vec<u8> {
        match held {
            Held::Null => null(),
            Held::Boolean(value) => boolean(*value),
            Held::Integer(value) => match i64::try_from(*value) {
                Ok(value) => integer(value),
                Err(_) => unsigned(u64::try_from(*value).expect("made of one")),
            },
            Held::Number(value) => number(*value),
            Held::Text(value) => text(value),
        }
    }

    fn compare(one: &Held, other: &Held) -> std::cmp::Ordering {
        match (one, other) {
            (Held::Null, Held::Null) => std::cmp::Ordering::Equal,
            (Held::Null, _) => std::cmp::Ordering::Less,
            (_, Held::Null) => std::cmp::Ordering::Greater,
            (Held::Boolean(one), Held::Boolean(other)) => one.cmp(other),
            (Held::Integer(one), Held::Integer(other)) => one.cmp(other),
            (Held::Number(one), Held::Number(other)) => {
                one.partial_cmp(other).expect("no field holds NaN: JSON has none")
            }
            (Held::Text(one), Held::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
            _ => panic!("a field holds values of one kind"),
        }
    }

    /// Values of one kind.
    fn field() -> impl Strategy<Value = [Held; 2]> {
        let near = |edge: i128| (edge - 2..=edge + 2).prop_map(Held::Integer);
        let integer = prop_oneof![
            any::<i64>().prop_map(|value| Held::Integer(value.into())),
            any::<u64>().prop_map(|value| Held::Integer(value.into())),
            near(0),
            near(i64::MAX.into()),
            (-2_i128..3).prop_map(|n| Held::Integer(n * 256)),
        ];
        let number = prop_oneof![
            prop::num::f64::ANY.prop_filter("JSON", |value| !value.is_nan()).prop_map(Held::Number),
            (-3_i8..3).prop_map(|value| Held::Number(value.into())),
        ];
        let text = prop_oneof![
            "[\u{0}\u{1}\u{2}a\u{ff}\u{10ffff}]{0,4}".prop_map(Held::Text),
            any::<String>().prop_map(Held::Text),
        ];
        let or_null = |held: BoxedStrategy<Held>| {
            let held = prop_oneof![1 => Just(Held::Null), 9 => held];
            [held.clone(), held]
        };
        prop_oneof![
            or_null(any::<bool>().prop_map(Held::Boolean).boxed()),
            or_null(integer.boxed()),
            or_null(number.boxed()),
            or_null(text.boxed()),
        ]
    }

    proptest! {
        #[test]
        fn bytes_are_in_the_order_of_the_values_field_by_field(
            fields in prop::collection::vec(field(), 1..4),
        ) {
            let bytes = |side: usize| -> Vec<u8> {
                fields.iter().flat_map(|pair| ordered(&pair[side])).collect()
            };
            let by_value = fields.iter().map(|[one, other]| compare(one, other));
            let by_value = by_value.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then);
            prop_assert_eq!(bytes(0).cmp(&bytes(1)), by_value);
        }

        #[test]
        fn what_is_behind_a_value_is_behind_it_and_whatever_follows_it(
            [one, other] in field(),
            rest in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let end = behind(ordered(&one));
            prop_assert!([ordered(&one), rest.clone()].concat() < end);
            if compare(&other, &one).is_gt() {
                prop_assert!([ordered(&other), rest].concat() >= end);
            }
        }
    }

    #[test]
    fn a_long_text_stands_behind_its_beginning_and_before_what_is_greater() {
        let long = "x".repeat(INDEXED_TEXT_LEN_MAX);
        let [longer, other] = [format!("{long}a"), format!("{long}b")];
        assert_eq!(text(&longer), text(&other), "they are told apart by key");
        assert!(text(&long) < text(&longer));
        assert!(text(&longer) < text(&format!("{}y", &long[1..])));
    }

    #[test]
    fn every_value_is_above_the_lowest_bytes_of_a_value_and_null_is_below() {
        assert!(null() < LOWEST.to_vec());
        let smallest = [boolean(false), integer(i64::MIN), number(f64::MIN), text("")];
        assert!(smallest.iter().all(|value| value[..] >= *LOWEST));
    }
}
