//! Every state ends by itself, whatever the peer says, and nobody is cut off that is there.

use crate::common::raw::{ACK, FIN, RST, Segment, introduce};
use crate::common::server::{PORT, Server};
use crate::common::{Noting, pattern};
use reflex_net::ListenBuilder;
use reflex_testkit::SimKernel;
use std::time::Duration;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Whether the connection is over.
fn is_over(server: &Server) -> bool {
    server.state(|state| !state.last.as_ref().unwrap().is_open())
}

/// Passes time in steps of five seconds, with the peer's hardware address kept known, until the connection is
/// over: how long that took. `say` says what the peer does at each step.
fn until_over(
    server: &Server,
    most: Duration,
    mut say: impl FnMut(&[Segment]),
) -> Option<Duration> {
    let mut passed = Duration::ZERO;
    while passed < most {
        let sent = server.pass(seconds(5));
        passed += seconds(5);
        server.host.inject(&introduce(server.host.address));
        server.host.kernel.run_until_idle();
        if is_over(server) {
            return Some(passed);
        }
        say(&sent);
    }
    None
}

fn close(server: &Server) {
    server.state(|state| state.last.clone().unwrap().finish());
    server.host.kernel.run_until_idle();
    server.host.sent(&server.clock);
}

/// A connection in each state that only the peer can end, with what a peer may go on saying there without
/// ending it.
fn lasting() -> Vec<(&'static str, Server, Segment)> {
    let says = |sequence, acknowledgement| {
        Segment::new(4000, PORT, ACK, sequence, acknowledgement).window(0)
    };
    let open = || {
        let server = Server::new(|service| service.stay = true);
        let ack = server.open(4000);
        (server, ack)
    };
    let mut all = Vec::new();
    let (server, ack) = open();
    close(&server);
    all.push(("FIN-WAIT-1", server, says(1001, ack)));
    let (server, ack) = open();
    close(&server);
    server.feed(&Segment::new(4000, PORT, ACK, 1001, ack + 1));
    all.push(("FIN-WAIT-2", server, says(1001, ack + 1)));
    let (server, ack) = open();
    close(&server);
    server.feed(&Segment::new(4000, PORT, ACK | FIN, 1001, ack));
    all.push(("CLOSING", server, says(1002, ack)));
    let (server, ack) = open();
    server.feed(&Segment::new(4000, PORT, ACK | FIN, 1001, ack));
    close(&server);
    all.push(("LAST-ACK", server, says(1002, ack)));
    all
}

/// The same with bytes that the peer has no room for.
fn blocked() -> Vec<(&'static str, Server, Segment)> {
    let says = |sequence, ack| Segment::new(4000, PORT, ACK, sequence, ack).window(0);
    let mut all = Vec::new();
    for (state, fin) in [("FIN-WAIT-1", false), ("LAST-ACK", true)] {
        let server = Server::new(|service| service.stay = true);
        let ack = server.open(4000);
        server.feed(&says(1001, ack));
        let expected = 1001 + u32::from(fin);
        if fin {
            server.feed(&Segment::new(4000, PORT, ACK | FIN, 1001, ack).window(0));
        }
        server.state(|state| state.last.clone().unwrap().send(&pattern(3000, 1)).unwrap());
        close(&server);
        all.push((state, server, says(expected, ack)));
    }
    all
}

/// What is queued behind a window that is closed waits as in an open connection: the peer may only be slow.
#[test]
fn a_closed_side_with_bytes_to_send_waits_for_a_slow_peer() {
    for (state, server, _) in blocked() {
        let took = until_over(&server, seconds(3000), |_| {});
        let took = took.unwrap_or_else(|| panic!("{state} lasts for ever"));
        assert!((seconds(900)..=seconds(1000)).contains(&took), "{state}, silent: {took:?}");
    }
    for (state, server, says) in blocked() {
        let took = until_over(&server, seconds(3000), |_| drop(server.feed(&says)));
        let took = took.unwrap_or_else(|| panic!("{state} lasts for ever"));
        assert!((seconds(900)..=seconds(1800)).contains(&took), "{state}, heard: {took:?}");
    }
}

#[test]
fn a_closed_side_waits_for_a_silent_peer_for_a_minute() {
    for (state, server, _) in lasting() {
        let took = until_over(&server, seconds(1000), |_| {});
        let took = took.unwrap_or_else(|| panic!("{state} lasts for ever"));
        assert!((seconds(60)..=seconds(70)).contains(&took), "{state}: {took:?}");
    }
}

/// The peer is there, and says the same again and again.
#[test]
fn a_closed_side_waits_for_a_peer_that_does_nothing_for_two_minutes() {
    for (state, server, says) in lasting() {
        let took = until_over(&server, seconds(1000), |_| drop(server.feed(&says)));
        let took = took.unwrap_or_else(|| panic!("{state} lasts for ever"));
        assert!((seconds(60)..=seconds(135)).contains(&took), "{state}: {took:?}");
    }
}

/// Half a connection is one, as long as something comes by it, or the application has something to read.
#[test]
fn a_peer_that_goes_on_sending_is_not_cut_off() {
    let server = Server::new(|service| service.stay = true);
    let ack = server.open(4000);
    close(&server);
    server.feed(&Segment::new(4000, PORT, ACK, 1001, ack + 1));
    let mut sequence = 1001;
    let took = until_over(&server, seconds(1000), |_| {
        server.feed(&Segment::new(4000, PORT, ACK, sequence, ack + 1).with(b"!"));
        sequence += 1;
    });
    assert_eq!(took, None);
    server.state(|state| assert_eq!(state.received[0].len(), 200));
}

#[test]
fn how_long_a_closed_side_waits_is_the_owners_to_say() {
    let server = Server::with(|service| service.stay = true, |it| it.linger(seconds(7)));
    let ack = server.open(4000);
    close(&server);
    server.feed(&Segment::new(4000, PORT, ACK, 1001, ack + 1));
    server.trace.take();
    assert_eq!(until_over(&server, seconds(100), |_| {}), Some(seconds(10)));
    assert_eq!(server.trace.take(), ["s failed: the peer does not answer"]);
}

/// RFC 6429: a window may stay closed, but not for ever.
#[test]
fn a_window_that_stays_closed_ends_the_connection_after_ten_minutes_at_least() {
    let server = Server::new(|service| service.greeting = pattern(3000, 1));
    let ack = server.open(4000);
    let closed = Segment::new(4000, PORT, ACK, 1001, ack).window(0);
    server.feed(&closed);
    let took = until_over(&server, seconds(4000), |sent| {
        if !sent.is_empty() {
            server.feed(&closed);
        }
    });
    let took = took.expect("it lasts for ever");
    assert!((seconds(900)..=seconds(1800)).contains(&took), "{took:?}");
    assert_eq!(server.trace.take().last().unwrap(), "s failed: the peer does not answer");
}

/// Reads slowly: a byte acknowledged now and then is progress.
#[test]
fn a_slow_reader_is_not_cut_off() {
    let server = Server::new(|service| service.greeting = pattern(3000, 1));
    let ack = server.open(4000);
    let mut read = 0;
    let mut step = 0;
    let took = until_over(&server, seconds(7200), |_| {
        step += 1;
        read += u32::from(step % 100 == 0);
        server.feed(&Segment::new(4000, PORT, ACK, 1001, ack + read).window(1));
    });
    assert_eq!(took, None);
}

/// How long a connection lasts of which the peer never says a word more, and how often it is asked.
fn silent(
    settings: impl FnOnce(ListenBuilder<SimKernel>) -> ListenBuilder<SimKernel>,
) -> (Option<Duration>, usize) {
    let server = Server::with(|_| {}, settings);
    server.open(4000);
    let mut asked = 0;
    let took = until_over(&server, seconds(100_000), |sent| asked += sent.len());
    (took, asked)
}

#[test]
fn an_idle_peer_that_is_gone_is_found_out() {
    let about = |took: Option<Duration>, due: u64| {
        took.is_some_and(|took| (seconds(due)..=seconds(due + 10)).contains(&took))
    };
    let (took, asked) = silent(|listening| listening);
    assert!(about(took, 7200 + 600) && (7..=8).contains(&asked), "{took:?} {asked}");
    let (took, asked) = silent(|listening| listening.keep_alive(seconds(50)));
    assert!(about(took, 200) && asked == 3, "{took:?} {asked}");
    let (took, asked) = silent(|listening| listening.timeout(seconds(50)));
    assert!(about(took, 50) && asked == 0, "{took:?} {asked}");
    let (took, asked) = silent(|listening| listening.timeout(Duration::MAX));
    assert_eq!((took, asked), (None, 0), "that is what was asked for");
}

/// A peer answers questions, and nothing else, for a day.
#[test]
fn an_idle_peer_that_is_there_stays() {
    let server = Server::new(|_| {});
    let ack = server.open(4000);
    let mut asked = 0;
    let took = until_over(&server, seconds(24 * 3600), |sent| {
        for _ in sent {
            asked += 1;
            server.feed(&Segment::new(4000, PORT, ACK, 1001, ack));
        }
    });
    assert_eq!(took, None);
    assert!((11..=12).contains(&asked), "every two hours: {asked}");
}

/// The last bytes of a client are lost; it resets beyond what is expected, and is gone for good: its place is
/// free soon, though nobody answers the challenge.
#[test]
fn a_peer_that_is_gone_after_a_reset_that_is_not_exact_is_found_out() {
    let server = Server::new(|_| {});
    for port in 4000..4004 {
        server.open(port);
        server.pass(seconds(10));
        server.feed(&Segment::new(port, PORT, RST, 1011, 0));
    }
    server.pass(seconds(17));
    server.host.exchange(&server.clock, &introduce(server.host.address));
    server.trace.take();
    for port in 5000..5004 {
        server.open(port);
    }
    assert_eq!(server.trace.take(), ["s accepted"; 4]);
}

/// Anybody may send a reset that is not exact: the peer answers a question, and stays.
#[test]
fn a_peer_that_is_there_after_a_reset_that_is_not_exact_stays() {
    let server = Server::new(|service| service.echo = true);
    let ack = server.open(4000);
    let mut answered = 0;
    for _ in 0..3 {
        server.feed(&Segment::new(4000, PORT, RST, 1011, 0));
        let took = until_over(&server, seconds(60), |sent| {
            if !sent.is_empty() {
                answered += 1;
                server.feed(&Segment::new(4000, PORT, ACK, 1001, ack));
            }
        });
        assert_eq!(took, None);
    }
    assert_eq!(answered, 3, "it is asked no more once it has answered");
    let answer = server.feed(&Segment::new(4000, PORT, ACK, 1001, ack).with(b"here"));
    assert_eq!(answer[0].payload, b"here");
}

/// What the application does not read is not the peer's fault, and no reason to stay for ever.
#[test]
fn a_side_that_is_closed_and_never_reads_ends() {
    let deaf = |service: &mut Noting| (service.stay, service.deaf) = (true, true);
    let server = Server::new(deaf);
    let ack = server.open(4000);
    server.feed(&Segment::new(4000, PORT, ACK, 1001, ack).with(&pattern(1000, 1)));
    close(&server);
    let more = Segment::new(4000, PORT, ACK, 2001, ack + 1).with(&pattern(4000, 1));
    let took = until_over(&server, seconds(1000), |_| drop(server.feed(&more)));
    assert!(took.is_some_and(|took| took <= seconds(135)), "{took:?}");
}
