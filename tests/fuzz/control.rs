//! Control sequences: any string is a program of everything the event core can do, which is
//! compared with the naive model that the simulation has, after every step and at the end.

use bolero::check;
use std::time::Duration;

#[path = "../../kernel/event/tests/model/mod.rs"]
mod model;

use model::Program;

/// Some thousand programs; the simulation has run millions of steps of its own.
const AS_A_TEST: Duration = Duration::from_secs(3);

#[test]
fn control() {
    check!().with_test_time(AS_A_TEST).with_max_len(4096).for_each(|bytes: &[u8]| {
        Program::decode(bytes).run();
    });
}
