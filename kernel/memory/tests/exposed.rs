//! Memory that others write: copies at every alignment, bounds, and the block's way back.

use crate::common;
use common::pool;
use proptest::prelude::*;
use reflex_memory::{Content, Exposed, OutOfBounds, Pool};
use std::thread;

fn bytes() -> &'static Pool {
    pool(1_024, 0, 16, Content::Bytes).unwrap()
}

proptest! {
    #[test]
    fn copies_are_those_of_a_vector(
        length in 0_usize..200,
        steps in prop::collection::vec((any::<bool>(), 0_usize..220, 0_usize..80, any::<u8>()), 0..50),
    ) {
        let exposed = Exposed::new(bytes().bytes(length).unwrap());
        let mut model = vec![0; length];
        prop_assert_eq!((exposed.len(), exposed.is_empty()), (length, length == 0));
        exposed.write(0, &model).unwrap();
        for (write, offset, count, value) in steps {
            let fits = offset + count <= length;
            if write {
                let data: Vec<u8> = (0..count).map(|at| value.wrapping_add(at as u8)).collect();
                prop_assert_eq!(exposed.write(offset, &data).is_ok(), fits);
                if fits {
                    model[offset..offset + count].copy_from_slice(&data);
                }
            } else {
                let mut data = vec![value; count];
                prop_assert_eq!(exposed.read(offset, &mut data).is_ok(), fits);
                if fits {
                    prop_assert_eq!(&data, &model[offset..offset + count]);
                } else {
                    prop_assert!(data.iter().all(|byte| *byte == value));
                }
            }
        }
        prop_assert_eq!(&*exposed.into_bytes(), &model[..]);
    }
}

#[test]
fn the_block_goes_back_with_the_value() {
    let pool = bytes();
    let exposed = Exposed::new(pool.bytes(100).unwrap());
    assert_eq!((exposed.len(), pool.stats().blocks), (100, 1));
    drop(exposed);
    assert_eq!(pool.stats().blocks, 0);
    drop(Exposed::new(pool.bytes(100).unwrap()).into_bytes());
    assert_eq!(pool.stats().blocks, 0);
}

#[test]
fn offsets_that_overflow_are_out_of_bounds() {
    let exposed = Exposed::new(bytes().bytes(10).unwrap());
    assert_eq!(exposed.write(usize::MAX, &[1]), Err(OutOfBounds));
    assert_eq!(exposed.read(usize::MAX - 3, &mut [0; 8]), Err(OutOfBounds));
}

/// What tests with threads repeat: enough to meet, and few enough for an interpreter.
const ROUNDS: usize = if cfg!(miri) { 50 } else { 20_000 };

/// Words are neither torn nor lost while others write around them.
#[test]
fn threads_that_share_bytes_get_whole_words() {
    let exposed = Exposed::new(bytes().bytes(83).unwrap());
    exposed.write(0, &[0; 83]).unwrap();
    thread::scope(|scope| {
        for value in [0x11, 0xee] {
            let exposed = &exposed;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // From within the first word into the bytes behind the last.
                    let offset = 1 + round % 7;
                    exposed.write(offset, &[value; 83][offset..]).unwrap();
                }
            });
        }
        for _ in 0..ROUNDS {
            let mut copy = [0; 83];
            exposed.read(0, &mut copy).unwrap();
            for word in copy[8..80].chunks(8) {
                assert!([0, 0x11, 0xee].contains(&word[0]) && word == [word[0]; 8], "{copy:?}");
            }
            assert_eq!(copy[0], 0);
        }
    });
}

/// Each thread writes bytes of its own, and all of them arrive, though they share words.
#[test]
fn threads_that_write_beside_each_other_lose_nothing() {
    const LENGTH: usize = 21;
    let exposed = Exposed::new(bytes().bytes(LENGTH).unwrap());
    exposed.write(0, &[0; LENGTH]).unwrap();
    thread::scope(|scope| {
        for thread in 0..3 {
            let exposed = &exposed;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    for at in (thread..LENGTH).step_by(3) {
                        exposed.write(at, &[round as u8]).unwrap();
                        let mut byte = [0];
                        exposed.read(at, &mut byte).unwrap();
                        assert_eq!(byte, [round as u8], "byte {at}");
                    }
                }
            });
        }
    });
}
