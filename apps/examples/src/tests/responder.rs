//! The responder on the host, over a wire that loses datagrams.

use super::main;
use reflex::prelude::*;
use reflex::testing::{Faults, Simulation};

#[test]
fn each_question_has_its_answer() {
    let mut sim = Simulation::new(main).unwrap();
    let socket = sim.datagrams(4000);
    for question in ["ping", " marco\n", "hello?"] {
        socket.send(2003, question);
    }
    sim.run();
    let answers = socket.take().into_iter().map(|(port, bytes)| {
        assert_eq!(port, 2003);
        bytes
    });
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers, [&b"pong\n"[..], b"polo\n", b"pardon?\n"]);
}

/// Half of all frames are lost, those too by which the machine asks where the client is: a question has one chance
/// in eight of making it known, and one in four of being answered from then on.
#[test]
fn a_client_that_asks_again_gets_through() {
    let lossy = Faults { lost: 50, ..Faults::default() };
    let mut sim = Simulation::builder().faults(lossy).start(main).unwrap();
    let socket = sim.datagrams(0);
    let answered = (0..200).any(|_| {
        socket.send(2003, "ping");
        sim.advance(secs(1));
        !socket.take().is_empty()
    });
    assert!(answered);
}
