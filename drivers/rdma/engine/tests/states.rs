//! The ladder of states: what leads where, with which attributes, and what may be posted when.

use crate::common;
use common::link::{Plan, Weather};
use common::{Log, Random};
use reflex_rdma_engine::Error;
use reflex_rdma_engine::*;
use reflex_rdma_wire::*;

const TRANSPORTS: [Transport; 3] =
    [Transport::Reliable, Transport::Unreliable, Transport::Datagram];

/// Attributes with all of those given that the mask has.
fn attributes(mask: Mask) -> Attributes {
    let gid = Gid::from_ipv4_bytes([10, 0, 0, 1]);
    let all = Attributes {
        partition: Some(PKey::DEFAULT),
        access: Some(Access::REMOTE_READ),
        key: Some(QKey(1)),
        path: Some(Envelope::new(gid, gid, 1)),
        mtu: Some(PathMtu::B256),
        destination: Some(Qpn::new(1)),
        receive_psn: Some(Psn::new(1)),
        send_psn: Some(Psn::new(1)),
        max_reads_in: Some(1),
        max_reads_out: Some(1),
        rnr_timer: Some(RnrTimer::from_code(1)),
        timeout: Some(AckTimeout::from_code(1)),
        retries: Some(1),
        rnr_retries: Some(1),
    };
    fn keep<T>(value: &mut Option<T>, is_kept: bool) {
        if !is_kept {
            *value = None;
        }
    }
    let mut some = all;
    keep(&mut some.partition, mask.contains(Mask::PARTITION));
    keep(&mut some.access, mask.contains(Mask::ACCESS));
    keep(&mut some.key, mask.contains(Mask::KEY));
    keep(&mut some.path, mask.contains(Mask::PATH));
    keep(&mut some.mtu, mask.contains(Mask::MTU));
    keep(&mut some.destination, mask.contains(Mask::DESTINATION));
    keep(&mut some.receive_psn, mask.contains(Mask::RECEIVE_PSN));
    keep(&mut some.send_psn, mask.contains(Mask::SEND_PSN));
    keep(&mut some.max_reads_in, mask.contains(Mask::MAX_READS_IN));
    keep(&mut some.max_reads_out, mask.contains(Mask::MAX_READS_OUT));
    keep(&mut some.rnr_timer, mask.contains(Mask::RNR_TIMER));
    keep(&mut some.timeout, mask.contains(Mask::TIMEOUT));
    keep(&mut some.retries, mask.contains(Mask::RETRIES));
    keep(&mut some.rnr_retries, mask.contains(Mask::RNR_RETRIES));
    assert_eq!(some.mask(), mask);
    some
}

const EACH: [Mask; 14] = [
    Mask::PARTITION,
    Mask::ACCESS,
    Mask::KEY,
    Mask::PATH,
    Mask::MTU,
    Mask::DESTINATION,
    Mask::RECEIVE_PSN,
    Mask::SEND_PSN,
    Mask::MAX_READS_IN,
    Mask::MAX_READS_OUT,
    Mask::RNR_TIMER,
    Mask::TIMEOUT,
    Mask::RETRIES,
    Mask::RNR_RETRIES,
];

/// A queue pair brought to that state, or as near as it goes.
fn pair(transport: Transport, state: State) -> (QueuePair, Log) {
    let mut log = Log::default();
    let mut pair = QueuePair::new(&Config::new(transport, Qpn::new(5), Domain(1)));
    let ladder = [State::Init, State::Rtr, State::Rts];
    for step in ladder {
        if pair.state() == state || state == State::Err {
            break;
        }
        let needs = Transition::find(transport, pair.state(), step).expect("the ladder").required;
        pair.modify(step, &attributes(needs), &mut log).expect("the ladder");
    }
    match state {
        State::Sqd | State::Err => {
            pair.modify(state, &Attributes::default(), &mut log).expect("legal");
        }
        State::Sqe => fail_to_send(&mut pair, &mut log),
        _ => {}
    }
    (pair, log)
}

/// Lets a send fail for want of its memory.
fn fail_to_send(pair: &mut QueuePair, log: &mut Log) {
    struct Nothing;
    impl Transmit for Nothing {
        fn transmit(&mut self, _: &Outgoing<'_>) -> Result<(), TransmitError> {
            Err(TransmitError::Memory)
        }
    }
    post(pair, log).expect("room");
    assert_eq!(pair.transmit(Instant::default(), 10, &mut Nothing, log), 0);
}

fn post(pair: &mut QueuePair, log: &mut Log) -> Result<(), Error> {
    let gid = Gid::from_ipv4_bytes([10, 0, 0, 1]);
    let to =
        Destination { envelope: Envelope::new(gid, gid, 1), queue_pair: Qpn::new(1), key: QKey(1) };
    let work = Work::Send(Attachment::None);
    let mut request =
        SendRequest { id: 7, work, segments: &[], flags: Flags::SIGNALLED, destination: None };
    match pair.post_send(&request, log) {
        Err(Error::Destination) => {
            request.destination = Some(&to);
            pair.post_send(&request, log)
        }
        result => result,
    }
}

#[test]
fn the_table_of_transitions_is_as_agreed() {
    let mut table = String::new();
    for transport in TRANSPORTS {
        for from in State::ALL {
            for to in State::ALL {
                if let Some(found) = Transition::find(transport, from, to) {
                    let Transition { required, optional, .. } = found;
                    let name = format!("{transport:?}");
                    let line =
                        format!("{name:<10} {from:?} -> {to:?}: {required:?}; {optional:?}\n");
                    table.push_str(&line);
                }
            }
        }
    }
    let agreed = include_str!("states.txt");
    assert!(table == agreed, "the table has changed:\n{table}");
}

#[test]
fn a_transition_takes_what_the_table_says_and_nothing_else() {
    for transport in TRANSPORTS {
        for from in State::ALL {
            if from == State::Sqe && transport == Transport::Reliable {
                continue;
            }
            for to in State::ALL {
                let find = Transition::find(transport, from, to);
                let Some(Transition { required, optional, .. }) = find else {
                    let (mut pair, mut log) = pair(transport, from);
                    assert_eq!(pair.state(), from);
                    let none = Attributes::default();
                    assert_eq!(pair.modify(to, &none, &mut log), Err(Error::Transition));
                    assert_eq!(pair.state(), from);
                    continue;
                };
                let attempt = |mask: Mask| {
                    let (mut pair, mut log) = pair(transport, from);
                    let result = pair.modify(to, &attributes(mask), &mut log);
                    assert_eq!(pair.state(), if result.is_ok() { to } else { from });
                    result
                };
                assert_eq!(attempt(required), Ok(()));
                assert_eq!(attempt(required.and(optional)), Ok(()));
                for one in EACH {
                    if required.contains(one) {
                        let others =
                            EACH.into_iter().filter(|&it| it != one && required.contains(it));
                        let others = others.fold(Mask::NONE, Mask::and);
                        assert_eq!(attempt(others), Err(Error::AttributeMissing));
                    } else if !optional.contains(one) {
                        assert_eq!(attempt(required.and(one)), Err(Error::AttributeRefused));
                    }
                }
            }
        }
    }
}

#[test]
fn values_that_are_not_possible_are_refused() {
    let init = Attributes {
        partition: Some(PKey::DEFAULT),
        access: Some(Access::NONE),
        ..Attributes::default()
    };
    let needs = |from, to| {
        attributes(Transition::find(Transport::Reliable, from, to).expect("a transition").required)
    };
    let rtr = needs(State::Init, State::Rtr);
    let v6 = Gid::from_bytes([1; 16]);
    let v4 = Gid::from_ipv4_bytes([1; 4]);
    let attempts = [
        Attributes { max_reads_in: Some(17), ..rtr },
        Attributes { mtu: Some(PathMtu::B4096), ..rtr },
        Attributes { path: Some(Envelope::new(v4, v6, 1)), ..rtr },
    ];
    for attempt in attempts {
        let (mut pair, mut log) = pair(Transport::Reliable, State::Reset);
        pair.modify(State::Init, &init, &mut log).expect("legal");
        assert_eq!(pair.modify(State::Rtr, &attempt, &mut log), Err(Error::AttributeValue));
    }
    let rts = needs(State::Rtr, State::Rts);
    for attempt in
        [Attributes { retries: Some(8), ..rts }, Attributes { rnr_retries: Some(8), ..rts }]
    {
        let (mut pair, mut log) = pair(Transport::Reliable, State::Rtr);
        assert_eq!(pair.modify(State::Rts, &attempt, &mut log), Err(Error::AttributeValue));
    }
}

#[test]
fn what_may_be_posted_when() {
    use State::{Err as Failed, Init, Reset, Rtr, Rts, Sqd, Sqe};
    for transport in TRANSPORTS {
        for state in State::ALL {
            if state == Sqe && transport == Transport::Reliable {
                continue;
            }
            let (mut pair, mut log) = pair(transport, state);
            log.completions.clear();
            let sent = post(&mut pair, &mut log);
            let received = pair.post_receive(&ReceiveRequest { id: 8, segments: &[] }, &mut log);
            let found: Vec<_> = log.completions.iter().map(|it| (it.id, it.status)).collect();
            let flushed = [(7, Status::Flushed), (8, Status::Flushed)];
            let (may_send, may_receive, told) = match state {
                Reset => (false, false, &flushed[..0]),
                Init | Rtr => (false, true, &flushed[..0]),
                Rts | Sqd => (true, true, &flushed[..0]),
                Sqe => (true, true, &flushed[..1]),
                Failed => (true, true, &flushed[..]),
            };
            let result = |may: bool| if may { Ok(()) } else { Err(Error::State) };
            assert_eq!((sent, received), (result(may_send), result(may_receive)), "{state:?}");
            assert_eq!(found, told, "{transport:?} {state:?}");
        }
    }
}

#[test]
fn requests_that_cannot_be_are_refused_when_posted() {
    let segment = Segment { region: Region(0), offset: 0, length: 8 };
    let many = [segment; 5];
    let half = [Segment { length: MAX_MESSAGE, ..segment }; 4];
    let gid = Gid::from_ipv4_bytes([10, 0, 0, 1]);
    let to =
        Destination { envelope: Envelope::new(gid, gid, 1), queue_pair: Qpn::new(1), key: QKey(1) };
    let crossed = Destination { envelope: Envelope::new(gid, Gid::from_bytes([1; 16]), 1), ..to };
    let send = Work::Send(Attachment::None);
    let invalidate = Work::Send(Attachment::Invalidate(RKey(1)));
    let (address, key) = (0, RKey(0));
    let read = Work::Read { address, key };
    let write = Work::Write { address, key, immediate: None };
    let add = Work::FetchAdd { address, key, add: 1 };
    use Transport::{Datagram, Reliable, Unreliable};
    type Case<'a> = (Transport, Work, &'a [Segment], Option<&'a Destination>, Result<(), Error>);
    let cases: [Case<'_>; 19] = [
        (Reliable, send, &many, None, Err(Error::TooManySegments)),
        (Reliable, send, &many[..4], None, Ok(())),
        (Reliable, send, &half[..2], None, Err(Error::MessageTooLong)),
        (Reliable, send, &half, None, Err(Error::MessageTooLong)),
        (Reliable, send, &half[..1], None, Ok(())),
        (Reliable, add, &[], None, Err(Error::AtomicLength)),
        (Reliable, add, &many[..2], None, Err(Error::AtomicLength)),
        (Reliable, add, &many[..1], None, Ok(())),
        (Reliable, send, &[], Some(&to), Err(Error::Destination)),
        (Unreliable, write, &[], None, Ok(())),
        (Unreliable, read, &[], None, Err(Error::Unsupported)),
        (Unreliable, add, &many[..1], None, Err(Error::Unsupported)),
        (Unreliable, invalidate, &[], None, Err(Error::Unsupported)),
        (Datagram, write, &[], Some(&to), Err(Error::Unsupported)),
        (Datagram, invalidate, &[], Some(&to), Err(Error::Unsupported)),
        (Datagram, send, &[], None, Err(Error::Destination)),
        (Datagram, send, &[], Some(&crossed), Err(Error::Destination)),
        (
            Datagram,
            send,
            &[Segment { length: 1025, ..segment }],
            Some(&to),
            Err(Error::MessageTooLong),
        ),
        (Datagram, send, &[Segment { length: 1024, ..segment }], Some(&to), Ok(())),
    ];
    for (transport, work, segments, destination, expected) in cases {
        let (mut pair, mut log) = pair(transport, State::Rts);
        let request = SendRequest { id: 1, work, segments, flags: Flags::NONE, destination };
        assert_eq!(pair.post_send(&request, &mut log), expected, "{request:?}");
        assert_eq!(pair.sends_outstanding(), u32::from(expected.is_ok()));
    }
    let (mut pair, mut log) = pair(Reliable, State::Rts);
    for _ in 0..128 {
        assert_eq!(post(&mut pair, &mut log), Ok(()));
    }
    assert_eq!(post(&mut pair, &mut log), Err(Error::QueueFull));
    let config = Config { receives: None, ..Config::new(Reliable, Qpn::new(5), Domain(1)) };
    let receive = ReceiveRequest { id: 1, segments: &[] };
    let result = QueuePair::new(&config).post_receive(&receive, &mut log);
    assert_eq!(result, Err(Error::SharedReceives));
}

#[test]
fn everything_is_flushed_once_and_in_order() {
    for to in [State::Err, State::Reset] {
        let (mut pair, mut log) = pair(Transport::Reliable, State::Rts);
        for id in 0..5 {
            post(&mut pair, &mut log).expect("room");
            pair.post_receive(&ReceiveRequest { id, segments: &[] }, &mut log).expect("room");
        }
        pair.modify(to, &Attributes::default(), &mut log).expect("legal");
        let found: Vec<_> =
            log.completions.iter().map(|it| (it.kind.is_receive(), it.id, it.status)).collect();
        let sends = (0..5).map(|_| (false, 7, Status::Flushed));
        let receives = (0..5).map(|id| (true, id, Status::Flushed));
        assert_eq!(found, sends.chain(receives).collect::<Vec<_>>());
        assert_eq!((pair.state(), pair.is_due(), pair.deadline()), (to, false, None));
    }
}

#[test]
fn a_local_fault_stops_the_send_queue_alone_where_nothing_is_acknowledged() {
    for transport in [Transport::Unreliable, Transport::Datagram] {
        let (mut pair, mut log) = pair(transport, State::Rts);
        post(&mut pair, &mut log).expect("room");
        fail_to_send(&mut pair, &mut log);
        let statuses: Vec<_> = log.completions.iter().map(|it| it.status).collect();
        assert_eq!(statuses, [Status::LocalProtection, Status::Flushed]);
        assert_eq!(pair.state(), State::Sqe);
        pair.modify(State::Rts, &Attributes::default(), &mut log).expect("legal");
        post(&mut pair, &mut log).expect("room");
        assert!(pair.is_due());
    }
}

#[test]
fn a_draining_queue_ends_what_began_and_says_so() {
    let plan = Plan { window: 2, mtu: PathMtu::B256, ..Plan::new(Transport::Reliable) };
    let mut link = plan.link(Weather::default(), Random(1));
    let region = link.sides[0].memory.register(0, 0, Access::NONE, vec![5; 2000]);
    for id in 0..3 {
        link.sides[1].post_receive(&ReceiveRequest { id, segments: &[] });
        let sink = link.sides[1].memory.register(9, 0, Access::REMOTE_WRITE, vec![0; 2000]);
        assert_eq!(sink.0, id);
        let work = Work::Write { address: 0, key: RKey(9), immediate: None };
        let segments = [Segment { region, offset: 0, length: 2000 }];
        let flags = Flags::SIGNALLED;
        link.sides[0].post_send(&SendRequest {
            id,
            work,
            segments: &segments,
            flags,
            destination: None,
        });
    }
    link.pump(0);
    let none = Attributes::default();
    let side = &mut link.sides[0];
    side.pair.modify(State::Sqd, &none, &mut side.log).expect("legal");
    assert_eq!(side.log.events, []);
    while link.step() {}
    let side = &mut link.sides[0];
    assert_eq!(side.log.events, [Event::SendQueueDrained]);
    let done: Vec<_> = side.log.completions.iter().map(|it| it.id).collect();
    assert_eq!(done, [0], "the one that had begun");
    side.pair.modify(State::Rts, &none, &mut side.log).expect("legal");
    link.pump(0);
    while link.step() {}
    let done: Vec<_> = link.sides[0].log.completions.iter().map(|it| it.id).collect();
    assert_eq!(done, [0, 1, 2]);
}
