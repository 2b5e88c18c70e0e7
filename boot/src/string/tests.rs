//! Each function against its plain definition, for all small lengths, offsets and overlaps.

use super::*;

/// Covers every branch, the block loops several times, and all alignments.
const LENGTHS: core::ops::RangeInclusive<usize> = 0..=70;

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|place| (place as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[test]
fn copies_move_what_they_should_and_nothing_else() {
    for length in LENGTHS {
        for from in 0..20 {
            for to in 0..20 {
                let mut bytes = pattern(128, 7);
                let mut expected = bytes.clone();
                expected.copy_within(from..from + length, to);
                let base = bytes.as_mut_ptr();
                // SAFETY: both ranges are within the vector's 128 bytes.
                let returned = unsafe { memmove(base.add(to), base.add(from), length) };
                assert_eq!(returned as usize, base as usize + to);
                assert_eq!(bytes, expected, "{length} bytes from {from} to {to}");
            }
        }
        let (source, mut target) = (pattern(length, 1), pattern(length + 2, 9));
        // SAFETY: the target has room for `length` bytes from its second on.
        unsafe { memcpy(target.as_mut_ptr().add(1), source.as_ptr(), length) };
        assert_eq!(target[1..=length], source);
        assert_eq!([target[0], target[length + 1]], {
            let untouched = pattern(length + 2, 9);
            [untouched[0], untouched[length + 1]]
        });
    }
}

#[test]
fn sets_fill_exactly_their_bytes() {
    for length in LENGTHS {
        for start in 0..20 {
            let mut bytes = pattern(128, 3);
            let mut expected = bytes.clone();
            expected[start..start + length].fill(0xa5);
            // SAFETY: the range is within the vector's 128 bytes.
            unsafe { memset(bytes.as_mut_ptr().add(start), 0x3a5, length) };
            assert_eq!(bytes, expected);
        }
    }
}

#[test]
fn comparisons_find_the_first_difference() {
    for length in LENGTHS {
        let one = pattern(length, 5);
        for place in 0..length {
            for change in [1, 0x80, 0xff] {
                let mut other = one.clone();
                other[place] ^= change;
                if let Some(last) = other.last_mut() {
                    *last ^= u8::from(place + 1 < length);
                }
                // SAFETY: both are `length` bytes long.
                let (order, unequal) = unsafe {
                    (
                        memcmp(one.as_ptr(), other.as_ptr(), length),
                        bcmp(one.as_ptr(), other.as_ptr(), length),
                    )
                };
                assert_eq!(order.cmp(&0), one.cmp(&other));
                assert_ne!(unequal, 0);
            }
        }
        // SAFETY: as above.
        assert_eq!(unsafe { memcmp(one.as_ptr(), one.clone().as_ptr(), length) }, 0);
    }
}

#[test]
fn strings_end_at_their_zero() {
    for length in LENGTHS {
        let mut text = vec![b'x'; length];
        text.extend([0, b'y', 0]);
        // SAFETY: the text has a zero.
        assert_eq!(unsafe { strlen(text.as_ptr()) }, length);
    }
}
