//! Tests that run inside the image.
//!
//! `#[reflex::test]` functions are collected by the linker. An image with [`test_image!`] in its
//! `main.rs` runs them, one after the other in `main`'s context, as the command line asks:
//! `test.list` names them, `test.group=G` takes those of one group, `test.filter=TEXT` those with
//! that in their names, `test.from=NAME` skips those before that one. The host's
//! `cargo reflex test` reads the lines that begin with `#!` and reports each as a test of its own.
//!
//! [`test_image!`]: crate::test_image

use crate::{Argument, System};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use linkme::distributed_slice;
use reflex_boot::{exit as status, machine_line};

const GROUP: Argument = Argument::text("test.group", "GROUP", "tests of this group");
const FILTER: Argument = Argument::text("test.filter", "TEXT", "tests with that in their names");
const FROM: Argument = Argument::text("test.from", "NAME", "leaves out those before");
const LIST: Argument = Argument::flag("test.list", "names the tests");
const SEED: Argument = Argument::text("test.seed", "N", "of random choices");

/// What a test image is told.
pub const ARGUMENTS: &[Argument] = &[GROUP, FILTER, FROM, LIST, SEED];

/// Every test of the image, in the linker's order.
#[distributed_slice]
pub static TESTS: [Test];

/// One test.
pub struct Test {
    /// Crate, module and name.
    pub path: &'static str,
    /// The boot it shares.
    pub group: &'static str,
    /// The test itself.
    pub run: fn(System) -> Outcome,
}

/// What a test came to.
pub struct Outcome(Result<(), String>);

impl Outcome {
    /// The outcome of a test that returned `value`.
    pub fn of(value: impl Into<Self>) -> Self {
        value.into()
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self(Ok(()))
    }
}

impl<E: Display> From<Result<(), E>> for Outcome {
    fn from(result: Result<(), E>) -> Self {
        Self(result.map_err(|error| error.to_string()))
    }
}

impl Test {
    /// The name without the crate, which the host knows.
    fn name(&self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_, name)| name)
    }
}

/// Runs what the command line asks for, and ends the image.
pub fn run(system: System) -> ! {
    let mut tests: Vec<&Test> = TESTS.iter().collect();
    tests.sort_by_key(|test| (test.group, test.path));
    if let Some(group) = system.argument(GROUP) {
        tests.retain(|test| test.group == group);
    }
    if let Some(text) = system.argument(FILTER) {
        tests.retain(|test| test.name().contains(text));
    }
    if let Some(first) = system.argument(FROM) {
        let skipped = tests.iter().take_while(|test| test.name() != first).count();
        tests.drain(..skipped);
    }
    if system.argument(LIST).is_some() {
        for test in tests {
            machine_line!("test-list {} {}", test.group, test.name());
        }
        system.exit(status::SUCCESS);
    }
    let mut failed = false;
    for test in tests {
        let name = test.name();
        machine_line!("test-begin {name}");
        match (test.run)(system).0 {
            Ok(()) => machine_line!("test-pass {name}"),
            Err(reason) => {
                failed = true;
                machine_line!("test-fail {name} {}", reason.replace('\n', " "));
            }
        }
    }
    system.exit(if failed { status::TEST_FAILED } else { status::SUCCESS })
}

/// Makes the image one that runs its `#[reflex::test]` functions.
#[macro_export]
macro_rules! test_image {
    () => {
        #[$crate::main(arguments = $crate::__private::TEST_ARGUMENTS)]
        fn main(system: $crate::System) {
            $crate::__private::run_tests(system)
        }
    };
}
