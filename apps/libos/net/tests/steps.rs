//! How many steps a request takes: activations, sections, timer moves, notifications of the device.

use crate::common;
use common::raw::{ACK, PSH, SYN, Segment, introduce, segments};
use common::{Host, SimConnection};
use reflex_event::Instant;
use reflex_net::TcpService;
use reflex_testkit::{Clock, Counts, SimKernel};

/// Requests that come at a time, each on a connection of its own.
const REQUESTS: u16 = 8;
const PORT: u16 = 80;

/// Sends back what it receives.
struct Echo;

impl TcpService<SimKernel> for Echo {
    fn received(&mut self, connection: &SimConnection) {
        let mut answer = [0; 64];
        while connection
            .exchange(&mut answer, |bytes, answer| {
                let length = bytes.len().min(answer.len());
                answer[..length].copy_from_slice(&bytes[..length]);
                (length, length)
            })
            .is_ok_and(|echoed| echoed.goes_on())
        {}
    }
}

/// A service with so many connections, and what each of them is to acknowledge next.
fn serve(clock: &Clock) -> (Host, Vec<u32>) {
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(clock, 1, 3);
    let echo = host.kernel.context(Echo, 4 << 20);
    host.net.listen(PORT).connections(REQUESTS.into()).serve(echo).unwrap();
    host.exchange(clock, &introduce(host.address));
    let open = |source| {
        let feed = |segment: Segment| {
            segments(&host.exchange(clock, &segment.frame(host.mac, host.address)))
        };
        let ack = feed(Segment::new(source, PORT, SYN, 1000, 0))[0].sequence.wrapping_add(1);
        feed(Segment::new(source, PORT, ACK, 1001, ack));
        ack
    };
    let acks = (0..REQUESTS).map(|number| open(4000 + number)).collect();
    (host, acks)
}

/// A request on each connection, all at once, and their answers: what that took, and how often the device was
/// notified.
fn round(clock: &Clock, host: &Host, number: u32, acks: &mut [u32]) -> (Counts, u64) {
    let (before, notified) = (host.kernel.counts(), host.wire.counters().notifications);
    for (source, ack) in (4000..).zip(&*acks) {
        let request = Segment::new(source, PORT, ACK | PSH, 1001 + 5 * number, *ack).with(b"hello");
        host.inject(&request.frame(host.mac, host.address));
    }
    host.kernel.run_until_idle();
    let after = host.kernel.counts();
    let answers = segments(&host.sent(clock));
    assert_eq!(answers.len(), acks.len(), "one segment each, with answer and acknowledgement");
    for (ack, answer) in acks.iter_mut().zip(&answers) {
        assert_eq!(
            (&answer.payload[..], answer.acknowledgement),
            (&b"hello"[..], 1006 + 5 * number)
        );
        *ack += 5;
    }
    let counts = Counts {
        activations: after.activations - before.activations,
        sections: after.sections - before.sections,
        timers: after.timers - before.timers,
    };
    (counts, host.wire.counters().notifications - notified)
}

/// Eight requests that come together share an activation of the stack for their frames, one of the application for
/// what there is to tell, one of the stack for their answers, and the notification of the device. A request has
/// sections of its own: its connection is found and its run begins, and ends; what there is to tell is taken; the
/// application takes the socket, and puts it back; the run for the answer begins, and ends. No timer is moved.
#[test]
fn a_request_takes_the_steps_that_it_must_and_no_more() {
    let clock = Clock::default();
    let (host, mut acks) = serve(&clock);
    // The first arms each connection's timer, which then is early enough for what follows.
    let (first, _) = round(&clock, &host, 0, &mut acks);
    assert_eq!(first.timers, u64::from(REQUESTS));
    for number in 1..20 {
        let (counts, notifications) = round(&clock, &host, number, &mut acks);
        println!("{counts:?}, {notifications} notifications");
        assert_eq!(counts.timers, 0, "{counts:?}");
        assert_eq!(notifications, 1);
        // All of it without smoltcp, once it has heard what was to be acknowledged.
        let predicted = host.net.counters().predicted;
        assert_eq!(predicted, 2 * u64::from(REQUESTS) * u64::from(number), "heard and answered");
        // Injecting a frame activates the stack, which stands for the interrupt.
        assert!(counts.activations <= 4, "{counts:?}");
        // Eight of each request, and a few of all.
        assert!(counts.sections <= 8 * u64::from(REQUESTS) + 6, "{counts:?}");
    }
}

/// A segment that is not answered is acknowledged in time all the same, though nothing was looked at when it came.
#[test]
fn what_is_not_answered_is_acknowledged_in_time() {
    struct Silent;
    impl TcpService<SimKernel> for Silent {
        fn received(&mut self, connection: &SimConnection) {
            let _ = connection.receive(|bytes| bytes.len());
        }
    }
    let clock = Clock::default();
    clock.set(Instant::from_nanos(1_000_000_000));
    let host = Host::new(&clock, 1, 3);
    let silent = host.kernel.context(Silent, 1 << 20);
    host.net.listen(PORT).serve(silent).unwrap();
    host.exchange(&clock, &introduce(host.address));
    let feed =
        |segment: Segment| segments(&host.exchange(&clock, &segment.frame(host.mac, host.address)));
    let ack = feed(Segment::new(4000, PORT, SYN, 1000, 0))[0].sequence.wrapping_add(1);
    feed(Segment::new(4000, PORT, ACK, 1001, ack));
    for number in 0..50 {
        let sent = feed(Segment::new(4000, PORT, ACK | PSH, 1001 + number, ack).with(b"x"));
        assert_eq!(sent, [], "it waits for an answer that could carry it");
        let late = segments(&host.pass(&clock, core::time::Duration::from_millis(45)));
        let acknowledged: Vec<u32> = late.iter().map(|segment| segment.acknowledgement).collect();
        assert_eq!(acknowledged, [1002 + number]);
        // At other times in the life of the timer.
        host.pass(&clock, core::time::Duration::from_millis(u64::from(number) * 7));
    }
}
