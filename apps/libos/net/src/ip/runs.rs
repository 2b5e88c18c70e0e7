//! Which bytes of a packet have come: a few runs, in order, apart from each other.

/// Most runs: so many gaps no network makes among the fragments of a packet.
const MOST: usize = 16;

/// Runs of bytes, each from its begin to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    runs: [(u16, u16); MOST],
    count: usize,
}

/// What became of bytes that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Added {
    New,
    /// All of them had come before.
    Known,
    /// Some of them had.
    Overlapping,
    /// There would be too many runs.
    TooMany,
}

impl Default for Runs {
    fn default() -> Self {
        Self { runs: [(0, 0); MOST], count: 0 }
    }
}

impl Runs {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Behind the last byte.
    pub(crate) fn end(&self) -> usize {
        self.runs[..self.count].last().map_or(0, |run| run.1.into())
    }

    pub(crate) fn begins_at_zero(&self) -> bool {
        self.runs[..self.count].first().is_some_and(|run| run.0 == 0)
    }

    /// Whether all bytes have come, of so many.
    pub(crate) fn is_whole(&self, length: usize) -> bool {
        self.runs[..self.count] == [(0, length as u16)]
    }

    /// The bytes from `begin` to `end` have come: one at least, of at most 65,535.
    pub(crate) fn add(&mut self, begin: usize, end: usize) -> Added {
        let (begin, end) = (begin as u16, end as u16);
        // The first run that does not end in front of them.
        let at = self.runs[..self.count].partition_point(|run| run.1 < begin);
        let touches =
            |run: Option<&(u16, u16)>| run.is_some_and(|run| run.0 < end && run.1 > begin);
        let run = self.runs[..self.count].get(at).copied();
        if run.is_some_and(|run| run.0 <= begin && run.1 >= end) {
            return Added::Known;
        }
        let follows = run.is_some_and(|run| run.1 == begin);
        let next = self.runs[..self.count].get(at + usize::from(follows)).copied();
        if touches(run.as_ref()) || touches(next.as_ref()) {
            return Added::Overlapping;
        }
        let precedes = next.is_some_and(|next| next.0 == end);
        match (follows, precedes) {
            (true, true) => {
                self.runs[at].1 = self.runs[at + 1].1;
                self.runs.copy_within(at + 2..self.count, at + 1);
                self.count -= 1;
            }
            (true, false) => self.runs[at].1 = end,
            (false, true) => self.runs[at].0 = begin,
            (false, false) if self.count == MOST => return Added::TooMany,
            (false, false) => {
                self.runs.copy_within(at..self.count, at + 1);
                self.runs[at] = (begin, end);
                self.count += 1;
            }
        }
        Added::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As a set of bytes has it.
        #[test]
        fn runs_are_a_set_of_bytes(adds in prop::collection::vec((0usize..60, 1usize..9), 0..80)) {
            let mut runs = Runs::default();
            let mut model = [false; 80];
            for (begin, length) in adds {
                let end = begin + length;
                let known = model[begin..end].iter().filter(|byte| **byte).count();
                let before = runs.count;
                let expected = match known {
                    0 if before == MOST => None,
                    0 => Some(Added::New),
                    known if known == length => Some(Added::Known),
                    _ => Some(Added::Overlapping),
                };
                let added = runs.add(begin, end);
                prop_assert!(expected.is_none_or(|expected| added == expected), "{added:?} {expected:?}");
                if added == Added::New {
                    model[begin..end].fill(true);
                }
                let counted = model.windows(2).filter(|pair| pair[0] && !pair[1]).count();
                prop_assert_eq!(runs.count, counted);
                prop_assert_eq!(runs.end(), model.iter().rposition(|byte| *byte).map_or(0, |at| at + 1));
                prop_assert_eq!(runs.begins_at_zero(), model[0]);
                let whole = (1..80).find(|length| runs.is_whole(*length));
                let prefix = model.iter().position(|byte| !byte).unwrap_or(80);
                let all = prefix > 0 && !model[prefix..].contains(&true);
                prop_assert_eq!(whole, all.then_some(prefix));
            }
        }
    }

    #[test]
    fn there_are_few_runs() {
        let mut runs = Runs::default();
        for at in 0..MOST {
            assert_eq!(runs.add(at * 16, at * 16 + 8), Added::New);
        }
        assert_eq!(runs.add(MOST * 16, MOST * 16 + 8), Added::TooMany);
        assert_eq!(runs.add(8, 16), Added::New);
        assert_eq!(runs.add(MOST * 16, MOST * 16 + 8), Added::New);
    }
}
