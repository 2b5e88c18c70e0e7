//! The CRC against its definition, bit by bit.

use proptest::collection::vec;
use proptest::prelude::*;
use reflex_rdma_crc::{by_tables, crc32};

/// The CRC's definition: a register is shifted by each bit, and the polynomial is added for each one
/// that leaves it.
fn by_bits(crc: u32, bytes: &[u8]) -> u32 {
    let mut register = !crc;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            register = (register >> 1) ^ (0xedb8_8320 * (register & 1));
        }
    }
    !register
}

/// The value that catalogues of CRCs give to check an implementation with.
#[test]
fn the_check_value_is_that_of_zlib() {
    assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
    assert_eq!(by_tables(0, b"123456789"), 0xcbf4_3926);
}

/// Each length up to many blocks more than are under way at once, at each place of a block.
#[test]
fn every_length_at_every_offset() {
    let bytes: Vec<u8> = (0..700_u32).map(|n| ((n * n) >> 3) as u8 ^ n as u8).collect();
    for offset in 0..16 {
        let bytes = &bytes[offset..];
        let mut expected = 0x1234_5678;
        for length in 0..bytes.len() {
            assert_eq!(crc32(0x1234_5678, &bytes[..length]), expected, "{length} at {offset}");
            expected = by_bits(expected, &bytes[length..=length]);
        }
    }
}

proptest! {
    /// However data are cut, each way of computing goes on where the other stopped.
    #[test]
    fn pieces_make_the_whole(
        pieces in vec((vec(any::<u8>(), 0..400), any::<bool>()), 0..8),
        before: u32,
    ) {
        let (mut crc, mut whole) = (before, Vec::new());
        for (piece, multiplies) in &pieces {
            crc = if *multiplies { crc32(crc, piece) } else { by_tables(crc, piece) };
            whole.extend_from_slice(piece);
        }
        prop_assert_eq!(crc, by_bits(before, &whole));
        prop_assert_eq!(crc, crc32(before, &whole));
    }
}
