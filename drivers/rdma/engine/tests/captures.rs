//! Replay: given one machine's frames of a capture, the engine sends the other machine's frames,
//! byte for byte.
//!
//! **Inputs** of the engine, taken from the capture: addresses, UDP source port, queue pair
//! numbers, initial sequence numbers, keys and addresses of memory, what the application asked
//! for (operations, payload, flags; when receives were posted), the path MTU, the RNR timer.
//! **Times** are the capture's: a timer runs out when a frame shows that it did.
//! **Free fields**: the IPv4 identification and the IPv6 flow label, which mean nothing here
//! (RFC 6864), and what is computed over them: header checksum and ICRC, which are compared after
//! they were set. The order of requests relative to replies of the same machine is its
//! scheduler's, and not compared.

#[path = "captures/replay.rs"]
mod replay;
#[path = "captures/story.rs"]
mod story;

use crate::common;
use common::capture::{are_ours, captures};
use reflex_rdma_engine::Status;
use replay::{Loss, Replay};
use story::Story;

/// What is known of the repository's captures beyond what they show: the frames that were dropped
/// on arrival at one of the machines, and how the last request ended.
fn losses(name: &str, is_server: bool) -> Loss {
    match (name, is_server) {
        // Every 11th of the client's arriving frames, every 3rd of the server's.
        ("loss_client", false) => Loss::Every(11),
        ("loss_cm", true) => Loss::Every(3),
        // Both lose a twentieth before the capture: what the client sent again says nothing of
        // what it had received, and some of the server's replies are missing.
        ("netem_loss", false) => Loss::Unknown,
        ("netem_loss", true) => Loss::BeforeCapture,
        // The server's queue pair is gone.
        ("deadpeer", true) => Loss::Unknown,
        _ => Loss::None,
    }
}

fn ending(name: &str) -> Status {
    match name {
        "nak_badrkey" | "nak_badread" => Status::RemoteAccess,
        "nak_toolong" => Status::RemoteOperation,
        "rnr_exceeded" => Status::ReceiverNotReady,
        "deadpeer" => Status::RetryExceeded,
        _ => Status::Success,
    }
}

#[test]
fn captures_are_replayed_byte_for_byte() {
    let mut compared = 0;
    for capture in captures() {
        let name = &capture.name;
        for (is_server, story) in Story::both_sides(&capture) {
            let side = if is_server { "server" } else { "client" };
            let mut loss = if are_ours() { losses(name, is_server) } else { Loss::None };
            if !are_ours() && story.shows_loss {
                loss = Loss::Unknown;
            }
            let mut replay = Replay::new(&story, name);
            if are_ours() {
                replay.retries(name);
            }
            let count = replay.run(loss);
            let missing = replay.missing;
            println!("{name}, {side}: {count} frames compared, {loss:?}, {missing} missing");
            assert!(missing * 8 <= count, "{name}: too many are missing to be lost");
            compared += count;
            if are_ours() && loss != Loss::Unknown {
                replay.check_completions(ending(name), loss);
            }
        }
    }
    println!("{compared} frames");
    if are_ours() {
        assert!(compared >= 1322, "only {compared} frames were compared");
    }
}
