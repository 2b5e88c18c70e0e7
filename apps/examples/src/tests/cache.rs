//! The cache on the host: a day passes in no time.

use super::main;
use reflex::prelude::*;
use reflex::testing::{Datagrams, Simulation};

fn ask(sim: &mut Simulation, socket: &Datagrams, question: &str) -> String {
    socket.send(2004, question);
    sim.run();
    let answers = socket.take();
    assert_eq!(answers.len(), 1, "{question}");
    String::from_utf8_lossy(&answers[0].1).trim_end().into()
}

#[test]
fn entries_are_there_for_their_time_and_no_longer() {
    let mut sim = Simulation::new(main).unwrap();
    let socket = sim.datagrams(0);
    assert_eq!(ask(&mut sim, &socket, "set 1 10 60"), "1 is 10");
    assert_eq!(ask(&mut sim, &socket, "set 2 20 86400"), "2 is 20");
    sim.advance(secs(59));
    assert_eq!(ask(&mut sim, &socket, "get 1"), "10");
    sim.advance(secs(2));
    assert_eq!(ask(&mut sim, &socket, "get 1"), "there is no 1");
    assert_eq!(ask(&mut sim, &socket, "get 2"), "20");
    sim.advance(secs(86_400));
    let lines = sim.take_lines();
    let forgotten: Vec<_> = lines.iter().filter(|it| it.ends_with("forgotten")).collect();
    assert_eq!(forgotten, ["1 is forgotten", "2 is forgotten"]);
}

#[test]
fn what_makes_no_sense_is_answered_with_what_does() {
    let mut sim = Simulation::new(main).unwrap();
    let socket = sim.datagrams(0);
    for nonsense in ["", "get", "get x", "set 1 2", "set 1 2 86401", "\u{e4}"] {
        let answer = ask(&mut sim, &socket, nonsense);
        assert_eq!(answer, "set KEY VALUE SECONDS, or get KEY", "{nonsense}");
    }
}
