//! Random programs against a bitmap of granules.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;
use std::{boxed::Box, vec};

fn buddy(granules: usize) -> Buddy<'static> {
    // Filled with nonsense: the table's memory need not come clean.
    let links = vec![Link { next: 7, previous: 7 }; Table::links_for(granules)];
    let states = vec![0xFF; granules];
    Buddy::new(Table::new(Box::leak(links.into()), Box::leak(states.into())).unwrap())
}

/// The order of the largest aligned run of free granules.
fn largest_run(free: &[bool]) -> Option<u32> {
    (0..Buddy::ORDERS).rev().find(|&order| {
        let size = 1_usize << order;
        size <= free.len() && free.chunks_exact(size).any(|run| run.iter().all(|&free| free))
    })
}

/// Checks lists, bitmap and states against each other and against what is free.
fn audit(buddy: &Buddy<'_>, free: &[bool]) {
    let mut listed = vec![false; free.len()];
    for order in 0..Buddy::ORDERS {
        let mut previous = NIL;
        let mut block = buddy.heads[order as usize];
        assert_eq!(block != NIL, buddy.occupied & (1 << order) != 0, "bit {order}");
        while block != NIL {
            let link = buddy.table.links[block as usize / 2];
            assert_eq!(link.previous, previous);
            assert_eq!(buddy.table.states[block as usize], state_of(FREE, order));
            assert_eq!(block % (1 << order), 0, "aligned to its size");
            for granule in block..block + (1 << order) {
                assert!(!core::mem::replace(&mut listed[granule as usize], true));
            }
            (previous, block) = (block, link.next);
        }
    }
    if buddy.hand != NIL {
        let state = buddy.table.states[buddy.hand as usize];
        assert_eq!(state & TAG, KEPT);
        listed[buddy.hand as usize..][..1 << (state & !TAG)].fill(true);
    }
    assert_eq!(listed, free);
    for order in 0..9 {
        for least in order..9 {
            let only = buddy.has_only_from(order, least);
            assert_eq!(only, takes_from(buddy, order) >= Some(least), "{order} {least}");
        }
    }
}

/// The order of the smallest free block from `order` up, if it is in hand or nothing is.
fn takes_from(buddy: &Buddy<'_>, order: u32) -> Option<u32> {
    let listed = (order..Buddy::ORDERS).find(|&order| buddy.heads[order as usize] != NIL);
    if buddy.is_merged() {
        return listed;
    }
    let hand = u32::from(buddy.table.states[buddy.hand as usize] & !TAG);
    (hand >= order && listed.is_none_or(|listed| listed >= hand)).then_some(hand)
}

#[derive(Clone, Debug)]
enum Step {
    Allocate(u32),
    /// Frees the live block at this place, modulo how many there are.
    Free(usize),
    /// Tries to free any granule at all.
    FreeAnything(u32),
    Largest,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u32..4).prop_map(Step::Allocate),
        1 => (0_u32..34).prop_map(Step::Allocate),
        6 => any::<usize>().prop_map(Step::Free),
        1 => (0_u32..300).prop_map(Step::FreeAnything),
        1 => Just(Step::Largest),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn agrees_with_a_bitmap(granules in 1_usize..200, steps in steps()) {
        let mut buddy = buddy(granules);
        let mut free = vec![true; granules];
        let mut live: Vec<(u32, u32)> = Vec::new();
        for step in steps {
            match step {
                Step::Allocate(order) => match buddy.allocate(order) {
                    Ok(block) => {
                        prop_assert_eq!(block % (1 << order), 0);
                        for granule in block..block + (1 << order) {
                            prop_assert!(core::mem::replace(&mut free[granule as usize], false));
                        }
                        live.push((block, order));
                    }
                    Err(Error::TooLarge) => prop_assert!(order >= Buddy::ORDERS),
                    Err(error) => {
                        prop_assert_eq!(error, Error::Exhausted);
                        prop_assert!(largest_run(&free) < Some(order));
                    }
                },
                Step::Free(place) if !live.is_empty() => {
                    let (block, order) = live.swap_remove(place % live.len());
                    prop_assert_eq!(buddy.free(block), Ok(order));
                    prop_assert_eq!(buddy.free(block), Err(Error::NotAllocated));
                    free[block as usize..][..1 << order].fill(true);
                }
                Step::Free(_) => {}
                Step::FreeAnything(block) => {
                    if !live.iter().any(|&(live, _)| live == block) {
                        prop_assert_eq!(buddy.free(block), Err(Error::NotAllocated));
                    }
                }
                Step::Largest => prop_assert_eq!(buddy.largest_free(), largest_run(&free)),
            }
            audit(&buddy, &free);
        }
        for (block, order) in live {
            prop_assert_eq!(buddy.free(block), Ok(order));
        }
        // Everything has been merged again: the same blocks as in the beginning.
        prop_assert_eq!(buddy.largest_free(), granules.checked_ilog2());
        prop_assert_eq!(buddy.occupied as usize, granules);
    }
}

#[test]
fn a_single_granule_comes_and_goes() {
    let mut buddy = buddy(1);
    for kind in [Kind::Lent, Kind::Own, Kind::Lent] {
        assert_eq!(buddy.allocate(1), Err(Error::Exhausted));
        assert_eq!(buddy.allocate_step(0, kind), Poll::Ready(Ok(0)));
        assert_eq!(buddy.allocate(0), Err(Error::Exhausted));
        assert_eq!(buddy.free(1), Err(Error::NotAllocated));
        assert_eq!(buddy.free(0), Ok(0));
        assert_eq!(buddy.free(0), Err(Error::NotAllocated));
    }
}

#[test]
fn the_block_in_hand_is_merged_when_a_larger_one_is_wanted() {
    let mut buddy = buddy(2);
    let block = buddy.allocate(0).unwrap();
    buddy.free(block).unwrap();
    assert_eq!(buddy.allocate(1), Ok(0));
}

/// What is in hand is merged for the sake of a larger block only if that takes no step more than
/// splitting what is listed.
#[test]
fn a_block_that_is_near_is_taken_past_the_hand() {
    for listed in 1..10 {
        for order in 1..=listed {
            // One block of `listed`, and a granule alone, which is put in hand.
            let mut buddy = buddy((1 << listed) + 1);
            let alone = buddy.allocate(0).unwrap();
            assert_eq!((alone, buddy.keep(alone, Kind::Lent)), (1 << listed, Ok(0)));
            buddy.take_in_hand(alone);
            let near = listed - order <= SPLIT;
            let expected = if near { Poll::Ready(Ok(0)) } else { Poll::Pending };
            assert_eq!(buddy.allocate_step(order, Kind::Own), expected, "{order} of {listed}");
            assert_eq!(buddy.is_merged(), !near, "{order} of {listed}");
            if !near {
                assert_eq!(buddy.allocate(order), Ok(0));
            }
        }
    }
}

#[test]
fn tables_of_the_wrong_size_are_refused() {
    assert_eq!(Table::new(&mut [], &mut []).unwrap_err(), Error::RegionTooSmall);
    let mut link = [Link::default()];
    assert_eq!(Table::new(&mut link, &mut [0; 3]).unwrap_err(), Error::RegionTooSmall);
    assert!(Table::new(&mut link, &mut [0; 2]).is_ok());
    // Memory that is asked for zeroed and never touched.
    let mut states = vec![0; Buddy::MAX_GRANULES + 1];
    assert_eq!(Table::new(&mut [], &mut states).unwrap_err(), Error::RegionTooLarge);
    assert_eq!(Buddy::MAX_GRANULES, 1 << 31, "a block of the largest order");
}
