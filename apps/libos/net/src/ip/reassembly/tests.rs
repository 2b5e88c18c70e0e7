//! Packets in fragments, and what is none.

use super::*;
use proptest::prelude::*;
use reflex_testkit::pool;
use std::vec;

const SECOND: Instant = Instant::from_nanos(1_000_000_000);

/// A frame with the bytes of `whole` from `begin` to `end`, as a fragment of the packet `id`.
fn piece(id: u16, whole: &[u8], begin: usize, end: usize) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((20 + (end - begin) as u16).to_be_bytes());
    frame.extend(id.to_be_bytes());
    let more = u16::from(end < whole.len()) << 13;
    frame.extend((more | (begin / 8) as u16).to_be_bytes());
    frame.extend([64, 17, 0, 0, 10, 0, 0, 99, 10, 0, 0, 1]);
    frame.extend(&whole[begin..end]);
    frame
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256) as u8).collect()
}

fn reassembly() -> Reassembly {
    Reassembly::new(Some(pool(160 << 10)))
}

#[test]
fn a_packet_is_put_together_whatever_the_order() {
    let whole = bytes(4000);
    let cuts = [(0, 1480), (1480, 2960), (2960, 4000)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut reassembly = reassembly();
        let mut done = None;
        for at in order {
            assert!(done.is_none());
            done = reassembly.add(&piece(7, &whole, cuts[at].0, cuts[at].1), SECOND);
        }
        let frame = done.expect("it is whole");
        assert_eq!(frame.len(), HEAD + 4000);
        assert_eq!(frame[HEAD..], whole);
        assert_eq!(frame[ETHERNET..ETHERNET + 4], [0x45, 0, 0x0f, 0xb4]);
        assert_eq!(frame[20..22], [0, 0], "no fragment any more");
        assert!(Sum::ZERO.bytes(&frame[ETHERNET..HEAD]).is_valid());
        assert_eq!((reassembly.assembled, reassembly.failed), (1, 0));
        assert_eq!(reassembly.due(), None);
    }
}

#[test]
fn fragments_that_overlap_drop_their_packet() {
    let whole = bytes(3000);
    let mut reassembly = reassembly();
    assert!(reassembly.add(&piece(7, &whole, 0, 1480), SECOND).is_none());
    assert!(reassembly.add(&piece(7, &whole, 1472, 2960), SECOND).is_none());
    assert_eq!(reassembly.failed, 1);
    // Nothing comes of it any more.
    assert!(reassembly.add(&piece(7, &whole, 1480, 3000), SECOND).is_none());
    assert!(reassembly.add(&piece(7, &whole, 0, 1480), SECOND).is_none());
    assert!(reassembly.add(&piece(7, &whole, 1480, 3000), SECOND).is_none());
    assert_eq!((reassembly.assembled, reassembly.failed), (0, 1));
}

#[test]
fn a_repeated_fragment_is_ignored_unless_it_says_something_else() {
    let whole = bytes(3000);
    let mut reassembly = reassembly();
    for _ in 0..2 {
        assert!(reassembly.add(&piece(7, &whole, 0, 1480), SECOND).is_none());
    }
    assert!(reassembly.add(&piece(7, &whole, 1480, 3000), SECOND).is_some());
    let mut other = whole.clone();
    other[5] ^= 1;
    assert!(reassembly.add(&piece(8, &whole, 0, 1480), SECOND).is_none());
    assert!(reassembly.add(&piece(8, &other, 0, 1480), SECOND).is_none());
    assert!(reassembly.add(&piece(8, &whole, 1480, 3000), SECOND).is_none());
    assert_eq!((reassembly.assembled, reassembly.failed), (1, 1));
}

#[test]
fn lengths_that_contradict_each_other_drop_the_packet() {
    let whole = bytes(3000);
    let mut reassembly = reassembly();
    // Two ends.
    assert!(reassembly.add(&piece(7, &whole, 1480, 3000), SECOND).is_none());
    assert!(reassembly.add(&piece(7, &whole[..2000], 1480, 2000), SECOND).is_none());
    // Bytes behind the end.
    assert!(reassembly.add(&piece(8, &whole[..1000], 800, 1000), SECOND).is_none());
    assert!(reassembly.add(&piece(8, &whole, 1480, 2960), SECOND).is_none());
    assert!(reassembly.add(&piece(9, &whole, 1480, 2960), SECOND).is_none());
    assert!(reassembly.add(&piece(9, &whole[..1000], 800, 1000), SECOND).is_none());
    assert_eq!((reassembly.assembled, reassembly.failed), (0, 3));
}

#[test]
fn what_can_be_no_fragment_is_none() {
    let whole = bytes(60_000);
    let mut reassembly = reassembly();
    // Not a multiple of eight, and not the last; empty; beyond what a frame can be.
    assert!(reassembly.add(&piece(7, &whole, 0, 1001), SECOND).is_none());
    assert!(reassembly.add(&piece(7, &whole, 8, 8), SECOND).is_none());
    let mut beyond = piece(7, &whole, 0, 1480);
    beyond[20..22].copy_from_slice(&[0x1f, 0xff]);
    assert!(reassembly.add(&beyond, SECOND).is_none());
    assert_eq!((reassembly.failed, reassembly.due()), (3, None));
}

#[test]
fn a_packet_has_a_minute() {
    let whole = bytes(3000);
    let mut reassembly = reassembly();
    let first = piece(7, &whole, 0, 1480);
    reassembly.add(&first, SECOND);
    reassembly.add(&piece(8, &whole, 1480, 3000), SECOND);
    let late = SECOND + PATIENCE;
    assert_eq!(reassembly.due(), Some(late));
    assert_eq!(reassembly.give_up(SECOND), None);
    // Of the first fragment its sender is told, of another one not (RFC 792).
    let told = [reassembly.give_up(late), reassembly.give_up(late)];
    let quoted: [u8; 28] = *first[ETHERNET..].first_chunk().unwrap();
    assert!(told.contains(&Some(Some(quoted))) && told.contains(&Some(None)), "{told:?}");
    assert_eq!((reassembly.give_up(late), reassembly.failed), (None, 2));
}

#[test]
fn packets_are_few_and_the_oldest_makes_room() {
    let whole = bytes(2000);
    let mut reassembly = reassembly();
    for id in 0..=PACKETS as u16 {
        let now = SECOND + Duration::from_secs(id.into());
        assert!(reassembly.add(&piece(id, &whole, 0, 1480), now).is_none());
    }
    assert_eq!(reassembly.failed, 1);
    assert!(reassembly.add(&piece(1, &whole, 1480, 2000), SECOND).is_some());
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let pool = pool(160 << 10);
    let mut reassembly = Reassembly::new(Some(pool));
    let whole = bytes(60_000);
    for id in 0..20 {
        let mut done = None;
        for begin in (0..whole.len()).step_by(1480) {
            let end = (begin + 1480).min(whole.len());
            done = reassembly.add(&piece(id, &whole, begin, end), SECOND);
        }
        // The next one takes its memory again.
        assert_eq!(done.expect("it is whole")[HEAD..], whole);
    }
    // While a frame is held there is no room for another one so long; shorter ones go on.
    for id in 30..40 {
        reassembly.add(&piece(id, &whole, 32_768, 34_248), SECOND);
    }
    assert!(pool.stats().blocks <= 2);
    assert_eq!(reassembly.assembled, 20);
    drop(reassembly);
    assert_eq!(pool.stats().blocks, 0);
}

#[test]
fn without_memory_nothing_is_put_together() {
    let mut reassembly = Reassembly::new(None);
    assert!(reassembly.add(&piece(7, &bytes(3000), 0, 1480), SECOND).is_none());
    assert_eq!((reassembly.failed, reassembly.due()), (1, None));
}

proptest! {
    /// Cut anywhere, in any order, with repetitions, among others: what comes out is what went in.
    #[test]
    fn any_cuts_in_any_order_make_the_packet(
        length in 9usize..5000,
        step in 1usize..200,
        order in any::<u64>(),
    ) {
        let whole = bytes(length);
        let step = (step * 8).max(length.div_ceil(30) / 8 * 8);
        let mut pieces: Vec<_> = (0..length)
            .step_by(step)
            .map(|begin| piece(7, &whole, begin, (begin + step).min(length)))
            .collect();
        let mut random = reflex_testkit::Random::new(order);
        for at in (1..pieces.len()).rev() {
            // Near its place, so that there are not too many gaps.
            let from = at.saturating_sub(8);
            pieces.swap(at, from + random.below((at - from + 1) as u64) as usize);
        }
        let mut reassembly = reassembly();
        let mut done = Vec::new();
        for piece in &pieces {
            if random.percent(20) && done.is_empty() {
                done.extend(reassembly.add(piece, SECOND));
            }
            if done.is_empty() {
                done.extend(reassembly.add(piece, SECOND));
            }
        }
        prop_assert_eq!(done.len(), 1);
        prop_assert_eq!(&done[0][HEAD..], &whole[..]);
    }

    /// Whatever comes, memory is bounded and comes back, and a packet that is put together has one length.
    #[test]
    fn any_fragments_do_no_harm(pieces in prop::collection::vec((0u16..3, 0usize..40, 1usize..40, any::<bool>()), 0..60)) {
        let pool = pool(80 << 10);
        let mut reassembly = Reassembly::new(Some(pool));
        for (id, begin, length, last) in pieces {
            let end = (begin + length) * 8;
            let whole = bytes(if last { end } else { end + 8 });
            let frame = reassembly.add(&piece(id, &whole, begin * 8, end), SECOND);
            if let Some(frame) = frame {
                let expected = bytes(frame.len() - HEAD);
                prop_assert_eq!(&frame[HEAD..], &expected[..]);
            }
        }
        prop_assert!(reassembly.packets.len() <= 3);
        drop(reassembly);
        prop_assert_eq!(pool.stats().blocks, 0);
    }
}
