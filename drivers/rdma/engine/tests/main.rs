//! All of the crate's tests in one program: what they stand on is compiled once.

mod captures;
#[path = "cm/mod.rs"]
mod cm;
mod cm_captures;
#[path = "cm.rs"]
mod cm_cases;
mod cm_ends;
mod cm_hostile;
mod cm_resolution;
mod cm_simulation;
mod common;
mod hostile;
#[path = "cm/lies.rs"]
mod lies;
mod requester;
mod responder;
mod responder_repeats;
mod responder_unreliable;
mod simulation;
mod states;
