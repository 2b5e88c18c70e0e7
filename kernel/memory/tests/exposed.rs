//! Memory that others write: copies at every alignment, bounds, and the block's way back.

mod common;

use common::pool;
use proptest::prelude::*;
use reflex_memory::{Content, Exposed, OutOfBounds, Pool};

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
