//! The query of a target, as forms write it: `a=1&b=two+words&c`.

use crate::target::hex;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// The pairs of a query, in their order.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> + Clone {
    raw(query).map(|(key, value)| (decode(key), decode(value)))
}

/// The values of a key, in their order.
pub(crate) fn values<'a>(query: &'a str, key: &str) -> impl Iterator<Item = Cow<'a, str>> {
    raw(query).filter(move |(there, _)| is(there, key)).map(|(_, value)| decode(value))
}

fn raw(query: &str) -> impl Iterator<Item = (&str, &str)> + Clone {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether an encoded key is this one; nothing is put anywhere for it.
fn is(encoded: &str, key: &str) -> bool {
    bytes(encoded).eq(key.bytes())
}

/// `+` is a space; a percent sign that begins no octet stands for itself, as the URL standard has it.
fn bytes(encoded: &str) -> impl Iterator<Item = u8> {
    let mut rest = encoded.as_bytes();
    core::iter::from_fn(move || {
        let (byte, behind) = match rest {
            [b'%', high, low, behind @ ..] => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, behind),
                _ => (b'%', &rest[1..]),
            },
            [b'+', behind @ ..] => (b' ', behind),
            [byte, behind @ ..] => (*byte, behind),
            [] => return None,
        };
        rest = behind;
        Some(byte)
    })
}

/// What is not UTF-8 has replacement characters in its place.
fn decode(encoded: &str) -> Cow<'_, str> {
    if !encoded.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(encoded);
    }
    let decoded = bytes(encoded).collect::<Vec<_>>();
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{pairs, values};
    use alloc::string::{String, ToString as _};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn all(query: &str) -> Vec<(String, String)> {
        pairs(query).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
    }

    #[test]
    fn decodes_keys_and_values_and_keeps_repeated_keys() {
        let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
        assert_eq!(all(""), []);
        assert_eq!(all("&&"), []);
        assert_eq!(all("a"), [pair("a", "")]);
        assert_eq!(all("a=1&b=&=c"), [pair("a", "1"), pair("b", ""), pair("", "c")]);
        assert_eq!(all("a+b=c%20d%2B&%61=x=y"), [pair("a b", "c d+"), pair("a", "x=y")]);
        assert_eq!(
            all("a=%&b=%4&c=%zz&d=%ff"),
            [pair("a", "%"), pair("b", "%4"), pair("c", "%zz"), pair("d", "\u{fffd}")]
        );
        let of = |key| values("a=1&%61=2&b=3&a=%34", key).map(String::from).collect::<Vec<_>>();
        assert_eq!(of("a"), ["1", "2", "4"]);
        assert_eq!(of("b"), ["3"]);
        assert!(of("c").is_empty());
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(pairs in prop::collection::vec((".{0,8}", ".{0,8}"), 0..6)) {
            let encode = |text: &str| text.bytes().map(|byte| match byte {
                b' ' => "+".to_string(),
                b'a'..=b'z' => char::from(byte).to_string(),
                _ => alloc::format!("%{byte:02X}"),
            }).collect::<String>();
            let query: Vec<_> = pairs
                .iter()
                .map(|(key, value)| [encode(key), "=".into(), encode(value)].concat())
                .collect();
            prop_assert_eq!(all(&query.join("&")), pairs);
        }
    }
}
