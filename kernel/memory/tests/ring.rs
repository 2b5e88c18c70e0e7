//! The ring against `VecDeque`.

use proptest::prelude::*;
use reflex_memory::Ring;
use std::collections::VecDeque;

fn agrees<const N: usize>(steps: &[Option<u16>]) -> Result<(), TestCaseError> {
    let mut ring = Ring::<u16, N>::new();
    let mut model = VecDeque::new();
    for &step in steps {
        match step {
            Some(value) if model.len() == N => prop_assert_eq!(ring.push(value), Err(value)),
            Some(value) => {
                prop_assert_eq!(ring.push(value), Ok(()));
                model.push_back(value);
            }
            None => prop_assert_eq!(ring.pop(), model.pop_front()),
        }
        prop_assert_eq!(ring.front(), model.front());
        prop_assert_eq!(ring.len(), model.len());
        prop_assert_eq!((ring.is_empty(), ring.is_full()), (model.is_empty(), model.len() == N));
    }
    Ok(())
}

proptest! {
    #[test]
    fn is_a_bounded_queue(steps in prop::collection::vec(any::<Option<u16>>(), 0..200)) {
        agrees::<0>(&steps)?;
        agrees::<1>(&steps)?;
        agrees::<3>(&steps)?;
        agrees::<8>(&steps)?;
    }
}
