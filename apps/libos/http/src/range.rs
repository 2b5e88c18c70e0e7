//! The Range field (RFC 9110, section 14.2): one byte range, or none that matters.

/// What a Range field means for content of a given length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Selection {
    /// The field is to be ignored: not bytes, malformed, or several ranges at once.
    Whole,
    /// Bytes `first` to `last`, both included.
    Part {
        /// Offset of the first byte.
        first: usize,
        /// Offset of the last byte, at least `first` and within the content.
        last: usize,
    },
    /// Nothing of it lies within the content.
    Unsatisfiable,
}

/// Applies a Range field's `value` to content of `length` bytes.
pub(crate) fn select(value: &[u8], length: usize) -> Selection {
    let Some((unit, spec)) = value.split_at_checked(6) else { return Selection::Whole };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Selection::Whole;
    }
    let spec = spec.trim_ascii();
    let Some(dash) = spec.iter().position(|&byte| byte == b'-') else { return Selection::Whole };
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Selection::Whole,
        (true, false) => match number(last) {
            None => Selection::Whole,
            Some(0) => Selection::Unsatisfiable,
            // Satisfiable, for all of it is selected (RFC 9110, section 14.1.2); but nothing is no
            // part that a Content-Range could tell of.
            Some(_) if length == 0 => Selection::Whole,
            Some(suffix) => {
                Selection::Part { first: length.saturating_sub(suffix), last: length - 1 }
            }
        },
        (false, open) => {
            let end = if open { Some(usize::MAX) } else { number(last) };
            match (number(first), end) {
                (Some(first), Some(end)) if first <= end => {
                    if first >= length {
                        Selection::Unsatisfiable
                    } else {
                        Selection::Part { first, last: end.min(length - 1) }
                    }
                }
                _ => Selection::Whole,
            }
        }
    }
}

/// A decimal number; one that is too large is the largest there is.
fn number(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0usize, |value, &digit| {
        digit
            .is_ascii_digit()
            .then(|| value.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::{Selection, select};
    use proptest::prelude::*;

    fn part(first: usize, last: usize) -> Selection {
        Selection::Part { first, last }
    }

    #[test]
    fn one_range() {
        for (value, length, expected) in [
            ("bytes=0-4", 10, part(0, 4)),
            ("BYTES=0-4", 10, part(0, 4)),
            ("bytes=5-", 10, part(5, 9)),
            ("bytes=9-9", 10, part(9, 9)),
            ("bytes=9-99", 10, part(9, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-30", 10, part(0, 9)),
            ("bytes=0-99999999999999999999999", 10, part(0, 9)),
            ("bytes=10-", 10, Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Selection::Unsatisfiable),
            ("bytes=-0", 10, Selection::Unsatisfiable),
            ("bytes=0-", 0, Selection::Unsatisfiable),
            ("bytes=-0", 0, Selection::Unsatisfiable),
            ("bytes=-1", 0, Selection::Whole),
            ("bytes=-99999999999999999999999", 0, Selection::Whole),
            ("bytes=4-3", 10, Selection::Whole),
            ("bytes=0-1,3-4", 10, Selection::Whole),
            ("bytes=-", 10, Selection::Whole),
            ("bytes=", 10, Selection::Whole),
            ("bytes=+1-2", 10, Selection::Whole),
            ("bytes=1 -2", 10, Selection::Whole),
            ("bytes=0--1", 10, Selection::Whole),
            ("lines=0-4", 10, Selection::Whole),
            ("", 10, Selection::Whole),
        ] {
            assert_eq!(select(value.as_bytes(), length), expected, "{value} of {length}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_content(value in "(bytes=)?[0-9,-]{0,24}", length in 0usize..50) {
            if let Selection::Part { first, last } = select(value.as_bytes(), length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
