//! Counting tests: those of libtest's printed results, and those that could not run.

use std::fmt;
use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

/// What becomes of a test that cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipping {
    /// It fails.
    Fails,
    /// It is counted apart, and named.
    Allowed,
}

impl Tally {
    /// One failure.
    pub(super) const FAILURE: Tally = Tally { passed: 0, failed: 1, skipped: 0 };

    /// Reads libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    pub(super) fn parse(line: &str) -> Option<Tally> {
        let counts = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
        let mut tally = Tally::default();
        for count in counts.split(';') {
            let (number, what) = count.trim().split_once(' ')?;
            let place = match what {
                "passed" => &mut tally.passed,
                "failed" => &mut tally.failed,
                "ignored" => &mut tally.skipped,
                _ => continue,
            };
            *place = number.parse().ok()?;
        }
        Some(tally)
    }

    /// How many tests there were.
    pub(super) fn total(self) -> usize {
        self.passed + self.failed + self.skipped
    }

    /// What did not run has failed, unless skipping is allowed.
    pub(super) fn settle(self, skipping: Skipping) -> Tally {
        match skipping {
            Skipping::Allowed => self,
            Skipping::Fails => Tally { failed: self.failed + self.skipped, skipped: 0, ..self },
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// The name of a test that libtest says it ignored, and its reason, if any.
pub(super) fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some((name, rest.trim_start_matches(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtests_results_are_counted() {
        let line = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered \
                    out; finished in 0.01s";
        assert_eq!(Tally::parse(line), Some(Tally { passed: 12, failed: 1, skipped: 2 }));
        assert_eq!(Tally::parse("test a::b ... ok"), None);
        assert_eq!(Tally::parse("12 passed; 1 failed"), None);
    }

    #[test]
    fn what_did_not_run_has_failed_unless_allowed() {
        let tally = Tally { passed: 1, failed: 0, skipped: 2 };
        assert_eq!(tally.settle(Skipping::Fails).to_string(), "1 passed, 2 failed");
        assert_eq!(tally.settle(Skipping::Allowed).to_string(), "1 passed, 0 failed, 2 skipped");
        assert_eq!(tally.settle(Skipping::Fails).total(), tally.total());
    }

    #[test]
    fn an_ignored_test_is_named() {
        assert_eq!(ignored("test a::b ... ignored, needs tap"), Some(("a::b", "needs tap")));
        assert_eq!(ignored("test a::b ... ignored"), Some(("a::b", "")));
        assert_eq!(ignored("test a::b ... ok"), None);
    }
}
