//! One context of an appliance fails in every way, again and again: the other one's clients never
//! notice, and the host is told of each failure with a backtrace.

use crate::guest::{Guest, PATIENCE, machine, user};
use reflex_qemu::crash::{CrashReport, Symbols};
use reflex_qemu::machine::Status;
use reflex_qemu::protocol::{Event, Protocol};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;

/// The port of the context that serves, and that of the one that fails.
const STEADY: u16 = 7;
const FRAGILE: u16 = 8;

/// What is said of each way to fail, and the function in which that happens.
const WAYS: [(&str, &str); 5] = [
    ("told to panic", "contained::fail"),
    ("attempt to divide by zero", "contained::fail"),
    ("stack overflow", "descend"),
    ("page fault (vector 14)", "read_null"),
    ("longer than its time budget", "spin"),
];

/// What the context that fails is asked.
const QUESTION: &[u8] = b"are you there?";

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Asks for `bytes` back.
fn ask(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer)?;
    assert!(answer == bytes, "something else came back");
    Ok(())
}

/// Asks until told to stop: on one connection for good, and on a new one each time. Every question
/// has to be answered; `answered` says how many were.
fn be_a_client(server: SocketAddr, stop: &AtomicBool, answered: &AtomicU32) {
    let mut kept = connect(server);
    while !stop.load(Relaxed) {
        let number = answered.load(Relaxed);
        let bytes: Vec<u8> = (0..700_u32).map(|n| (n * 7 + number) as u8).collect();
        ask(&mut kept, &bytes).expect("an answer");
        ask(&mut connect(server), &bytes).expect("an answer on a new connection");
        answered.store(number + 1, Relaxed);
    }
}

/// Talks to the context that fails, until it has seen a connection end and another answer.
fn survive_a_failure(server: SocketAddr) {
    let deadline = std::time::Instant::now() + PATIENCE;
    let (mut ended, mut answered_since) = (false, false);
    while !answered_since {
        assert!(std::time::Instant::now() < deadline, "no answer after a failure");
        // It may be down.
        let Ok(mut stream) = TcpStream::connect_timeout(&server, PATIENCE) else { continue };
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        while ask(&mut stream, QUESTION).is_ok() {
            answered_since |= ended;
            if answered_since {
                return;
            }
        }
        ended = true;
    }
}

#[test]
fn failures_of_one_context_are_not_the_others() {
    let ports = [(Protocol::Tcp, STEADY), (Protocol::Tcp, FRAGILE)];
    let machine = machine("misbehave").append("by=contained").network(user(&ports));
    let symbols = Symbols::load(machine.image()).expect("the image has symbols");
    let mut guest = Guest::start(machine);
    let steady = guest.endpoint(Protocol::Tcp, STEADY);
    let fragile = guest.endpoint(Protocol::Tcp, FRAGILE);
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let client = scope.spawn(|| be_a_client(steady, &stop, &answered));
        let survivor = scope.spawn(|| survive_a_failure(fragile));
        // Each way of failing, with a report of it, and some more for the survivor to see.
        let complete = |reports: &[CrashReport]| {
            WAYS.iter().all(|(words, _)| reports.iter().any(|report| report.text.contains(words)))
        };
        while !(complete(guest.running.crashes()) && survivor.is_finished()) {
            guest
                .running
                .wait_for("a report", PATIENCE, |line| {
                    (line.event == Some(Event::CrashEnd)).then_some(())
                })
                .unwrap_or_else(|error| {
                    stop.store(true, Relaxed);
                    panic!("{error}")
                });
        }
        survivor.join().expect("it has survived");
        // All this time, however short it was, and some more.
        while answered.load(Relaxed) <= 10 && !client.is_finished() {
            thread::yield_now();
        }
        // A session is over with its connection.
        let over = guest.running.wait_for_text("a visit of 700 bytes is over", PATIENCE);
        stop.store(true, Relaxed);
        client.join().expect("every question was answered");
        over.unwrap_or_else(|error| panic!("{error}"));
    });
    // A life is told how many connections those before it left behind.
    let cut_off = guest.running.wait_for("lives that are told", PATIENCE, |line| {
        let (_, count) = line.text.split_once("cut off so far: ")?;
        count.trim().parse::<u32>().is_ok_and(|count| count > 0).then_some(())
    });
    cut_off.unwrap_or_else(|error| panic!("{error}"));
    let outcome = guest.stop();
    assert!(outcome.crashes.iter().all(|crash| crash.contained), "{}", outcome.tail(30));
    for (words, function) in WAYS {
        let reports = outcome.crashes.iter().filter(|report| report.text.contains(words));
        let reports: Vec<String> = reports.map(|report| report.render(Some(&symbols))).collect();
        assert!(reports.iter().all(|report| report.contains("\"fragile\"")), "{reports:?}");
        // The last one may have been cut off.
        assert!(reports.iter().any(|report| report.contains(function)), "{words}: {reports:?}");
    }
}

/// Memory that is not used again is bounded: beyond the bound the image ends, and says why.
#[test]
fn beyond_the_bound_of_the_quarantine_the_image_ends() {
    // A stack of 16 KiB, its reserve of 8, and event memory of 64: two fit, and a third does not.
    let machine = machine("misbehave").append("by=quarantine quarantine=200k");
    let outcome = Guest::start(machine).finish();
    assert_eq!(outcome.status, Status::Exited(101), "{}", outcome.tail(60));
    let (last, contained) = outcome.crashes.split_last().expect("it has crashed");
    assert!(contained.iter().all(|crash| crash.contained));
    assert!(!last.contained && last.text.contains("quarantine="), "{}", last.text);
    assert!(last.text.contains("of 3 computations"), "{}", last.text);
}

/// A context with a time budget and nobody to answer for its failures ends the image.
#[test]
fn an_overrun_that_is_nobodys_ends_the_image() {
    let outcome = Guest::start(machine("misbehave").append("by=overrun")).finish();
    assert_eq!(outcome.status, Status::Exited(101), "{}", outcome.tail(30));
    let [crash] = &outcome.crashes[..] else { panic!("{:?}", outcome.crashes) };
    assert!(crash.text.contains("longer than its time budget"), "{}", crash.text);
    assert!(outcome.tail(usize::MAX).contains("\"limited\""), "{}", outcome.tail(usize::MAX));
}

/// A fault where the kernel is at work ends the image, whosever the context, with a full report.
#[test]
fn a_fault_in_a_section_is_not_contained() {
    let machine = machine("misbehave").append("by=section");
    let symbols = Symbols::load(machine.image()).expect("the image has symbols");
    let outcome = Guest::start(machine).finish();
    assert_eq!(outcome.status, Status::Exited(101), "{}", outcome.tail(30));
    let [crash] = &outcome.crashes[..] else { panic!("{:?}", outcome.crashes) };
    assert!(!crash.contained && crash.text.contains("told to panic in a section"));
    assert!(crash.render(Some(&symbols)).contains("misbehave::contained::fail_in_section"));
    assert!(outcome.tail(usize::MAX).contains("\"trusted\""), "{}", outcome.tail(usize::MAX));
}

/// A session that there is no memory for is over at once, and its connection reset; the memory of one that has ended
/// serves the next.
#[test]
fn a_session_without_memory_is_over_at_once() {
    let machine = machine("misbehave").append("by=crowded");
    let mut guest = Guest::start(machine.network(user(&[(Protocol::Tcp, 7)])));
    let server = guest.endpoint(Protocol::Tcp, 7);
    let tells = |guest: &mut Guest, text: &str| {
        guest.running.wait_for_text(text, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    };
    let mut inside = Vec::new();
    let refused = (1..=8).find(|_| {
        let mut stream = connect(server);
        let answer = ask(&mut stream, b"let me in");
        inside.push(stream);
        answer.is_err()
    });
    let refused = refused.expect("there is memory for all");
    tells(&mut guest, &format!("no memory for visit {refused}"));
    assert!(refused > 1, "there is memory for none");
    // The others do not notice.
    inside.pop();
    inside.iter_mut().for_each(|stream| ask(stream, b"still here").expect("it answers"));
    drop(inside.remove(0));
    tells(&mut guest, "visit 1 is over");
    ask(&mut connect(server), b"let me in").expect("it answers");
    let outcome = guest.stop();
    assert!(outcome.crashes.is_empty(), "{}", outcome.tail(30));
}
