//! Requests seen before.
//!
//! What a request without a body is answered with depends on its head alone, and clients that
//! keep asking (pages that poll, health checks, a crowd with one kind of browser) send the same
//! head again byte for byte. Comparing it is ten times cheaper than parsing it. Nothing ever has
//! to be invalidated: a site does not change while it is served.
//!
//! Where no head comes again, remembering them is a waste: after many of which none did, most are let pass, until one
//! does.

use crate::plan::Plan;
use alloc::boxed::Box;
use alloc::vec;

/// How many heads are remembered; a power of two, so that an index is a mask. All take 16 KiB of a
/// server.
const PLACES: usize = 32;
/// Longer heads are not remembered: with this a place takes half a KiB.
const LONGEST: usize = 480;
/// What of a head decides its place: the start of its target, after the shortest method.
const KEY: core::ops::Range<usize> = 4..20;

/// Heads and their plans, each in the one place that its target gives it. The last one stays.
pub(crate) struct Memo {
    places: Box<[Known]>,
    /// How many heads were learnt since one was recognised.
    vain: u32,
    /// How many heads are let pass before the next is looked at.
    pass: u32,
}

/// So many heads are learnt in vain before most are let pass.
const PATIENCE: u32 = 2 * PLACES as u32;
/// So many are let pass then, each time.
const PASS: u32 = 15;

#[derive(Clone)]
struct Known {
    /// 0 for nothing.
    length: usize,
    plan: Plan,
    head: [u8; LONGEST],
}

impl Memo {
    /// Nothing seen yet.
    pub(crate) fn new(plan: Plan) -> Self {
        let nothing = Known { length: 0, plan, head: [0; LONGEST] };
        Self { places: vec![nothing; PLACES].into_boxed_slice(), vain: 0, pass: 0 }
    }

    /// The length and the plan of the head that `bytes` start with, if it is remembered.
    #[inline]
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<(usize, Plan)> {
        if self.pass > 0 {
            return None;
        }
        let known = &self.places[place(bytes)?];
        let head = &known.head[..known.length.min(LONGEST)];
        let found = !head.is_empty() && bytes.starts_with(head);
        if found {
            self.vain = 0;
        }
        found.then_some((head.len(), known.plan))
    }

    /// Remembers a complete head, unless it is let pass.
    #[inline]
    pub(crate) fn learn(&mut self, head: &[u8], plan: Plan) {
        match self.pass.checked_sub(1) {
            Some(left) => self.pass = left,
            None => self.remember(head, plan),
        }
    }

    fn remember(&mut self, head: &[u8], plan: Plan) {
        self.vain = self.vain.saturating_add(1);
        self.pass = if self.vain > PATIENCE { PASS } else { 0 };
        if let Some(place) = place(head).filter(|_| head.len() <= LONGEST) {
            let known = &mut self.places[place];
            known.head[..head.len()].copy_from_slice(head);
            known.length = head.len();
            known.plan = plan;
        }
    }
}

/// `None` for heads too short to have a key: hardly any is.
#[inline]
fn place(bytes: &[u8]) -> Option<usize> {
    let (first, second) = bytes.get(KEY)?.split_first_chunk::<8>()?;
    let key = u64::from_le_bytes(*first) ^ u64::from_le_bytes(*second.first_chunk()?);
    // The upper bits of a product with an odd number depend on all bits of the key.
    Some((key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % PLACES)
}

#[cfg(test)]
mod tests {
    use super::{Memo, PASS};
    use crate::plan::{Answer, Plan};
    use crate::status::Status;

    #[test]
    fn only_whole_heads_are_recognised() {
        let refusal = Plan::refusal(Status::BadRequest);
        let plan = Plan { answer: Answer::File(7), ..refusal };
        let head = b"GET /index.html HTTP/1.1\r\nHost: h\r\n\r\n";
        let mut memo = Memo::new(refusal);
        assert_eq!(memo.find(head), None);
        memo.learn(head, plan);
        assert_eq!(memo.find(head), Some((head.len(), plan)));
        assert_eq!(memo.find(&[&head[..], b"more"].concat()), Some((head.len(), plan)));
        for length in 0..head.len() {
            assert_eq!(memo.find(&head[..length]), None);
        }
        let mut other = *head;
        for at in 0..other.len() {
            other[at] ^= 1;
            assert_eq!(memo.find(&other), None);
            other[at] ^= 1;
        }
    }

    #[test]
    fn heads_that_come_again_are_recognised_soon_after_many_that_do_not() {
        let plan = Plan::refusal(Status::BadRequest);
        let mut memo = Memo::new(plan);
        let head = |number: u32| {
            alloc::format!("GET /page?{number:08} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
        };
        let seen = |memo: &mut Memo, head: &[u8]| {
            let found = memo.find(head).is_some();
            if !found {
                memo.learn(head, plan);
            }
            found
        };
        for number in 0..10_000 {
            assert!(!seen(&mut memo, &head(number)));
        }
        // One in sixteen is looked at: one of these is learnt, and one recognised.
        let again = head(20_000);
        let first = (0..).position(|_| seen(&mut memo, &again)).unwrap();
        assert!(first <= 2 * (PASS as usize + 1), "{first}");
        // From then on each is.
        assert!((0..100).all(|_| seen(&mut memo, &again)));
    }

    #[test]
    fn short_and_long_heads_are_let_pass() {
        let plan = Plan::refusal(Status::BadRequest);
        let mut memo = Memo::new(plan);
        for head in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[b'x'; 5000]] {
            memo.learn(head, plan);
            assert_eq!(memo.find(head), None);
        }
    }
}
