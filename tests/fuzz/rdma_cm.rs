//! Connection messages, calls and time: a machine with an application that does anything, among
//! liars. What has to hold is what the communication manager's own tests hold it to.

#![allow(dead_code, reason = "the engine's tests share their parts with this one")]

use bolero::check;
use std::collections::HashSet;
use std::time::Duration;

#[path = "../../drivers/rdma/engine/tests/cm/mod.rs"]
mod cm;
mod dice;
#[path = "../../drivers/rdma/engine/tests/cm/lies.rs"]
mod lies;

use dice::Bytes;

const AS_A_TEST: Duration = Duration::from_secs(3);
/// Bytes that a message and what the application does take, about.
const A_ROUND: usize = 40;

impl lies::Dice for Bytes<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        Bytes::below(self, bound)
    }
}

#[test]
fn rdma_cm() {
    let bytes = dice::bytes(8192);
    check!().with_generator(bytes).with_test_time(AS_A_TEST).for_each(|bytes: &Vec<u8>| {
        let rounds = bytes.len() / A_ROUND + 1;
        lies::game(&mut Bytes::new(bytes), rounds, &mut HashSet::new());
    });
}
