//! Any connection message, at a machine with an application that does anything: what has to hold
//! whatever they are.

use crate::cm::{Datagram, Side, Told, address, config};
use reflex_rdma_engine::Instant;
use reflex_rdma_engine::cm::*;
use reflex_rdma_wire::cm::*;
use reflex_rdma_wire::{AckTimeout, PKey, PathMtu, Psn, QKey, Qpn};
use std::collections::HashSet;

/// Where choices come from.
pub(crate) trait Dice {
    /// Below `bound`.
    fn below(&mut self, bound: u64) -> u64;

    /// So often of a thousand times.
    fn often(&mut self, of_thousand: u64) -> bool {
        self.below(1000) < of_thousand
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn word(&mut self) -> u32 {
        self.below(1 << 32) as u32
    }
}

pub(crate) fn datagram(route: Route, message: Message<'_>) -> Datagram {
    let mut mad = [0; Mad::LENGTH];
    Mad { transaction: 77, message }.emit(&mut mad).expect("a message");
    (route, mad)
}

/// Names and queue pairs that may mean something, and some that do not.
struct Guess {
    ids: Vec<CommId>,
    qpns: Vec<Qpn>,
}

impl Guess {
    fn id(&self, random: &mut impl Dice) -> CommId {
        match random.below(8) {
            0 => CommId(random.word()),
            1 => CommId(0),
            _ => self.ids[random.below(self.ids.len() as u64) as usize],
        }
    }

    fn qpn(&self, random: &mut impl Dice) -> Qpn {
        match random.below(8) {
            0 => Qpn::new(random.word()),
            _ => self.qpns[random.below(self.qpns.len() as u64) as usize],
        }
    }
}

/// Any message: well formed, and a lie.
fn lie(random: &mut impl Dice, guess: &Guess, route: Route) -> Datagram {
    let bytes = [random.byte(); 92];
    let (local_id, remote_id) = (guess.id(random), guess.id(random));
    let received = [Received::Req, Received::Rep, Received::Other][random.below(3) as usize];
    let time = AckTimeout::from_code(random.byte());
    let port = 1 + random.below(3) as u16;
    let space = [PortSpace::Tcp, PortSpace::Udp][random.below(2) as usize];
    let service = match random.below(10) {
        0 => ServiceId(u64::from(random.word())),
        _ => ServiceId::ip(space, port),
    };
    let mut data = [0; 92];
    let ip = IpHeader { source: route.local, source_port: 9, destination: route.remote };
    let (header, rest) = data.split_first_chunk_mut().expect("room");
    ip.emit(header).expect("one family");
    rest.copy_from_slice(&bytes[..rest.len()]);
    let private_data: &[u8] = if random.often(100) { &bytes } else { &data };
    let message = match random.below(9) {
        0 => {
            let mut path = Path::new(route.local, route.remote, time);
            if random.often(50) {
                path.remote = address(9);
            }
            let transport = if random.often(100) { Service::Unreliable } else { Service::Reliable };
            Message::Req(Req {
                local_id,
                service,
                ca_guid: u64::from(random.word()),
                qkey: QKey(0),
                qpn: guess.qpn(random),
                responder_resources: random.byte(),
                initiator_depth: random.byte(),
                local_eecn: 0,
                remote_eecn: 0,
                remote_response_timeout: time,
                transport,
                flow_control: false,
                psn: Psn::new(random.below(3) as u32),
                local_response_timeout: time,
                retries: random.below(8) as u8,
                partition: if random.often(50) { PKey(1) } else { PKey::DEFAULT },
                mtu: PathMtu::ALL[random.below(4) as usize],
                rdc_exists: false,
                rnr_retries: 7,
                max_cm_retries: random.below(16) as u8,
                shared_receive_queue: false,
                extended_transport: u8::from(random.often(50)),
                primary: path,
                alternate: None,
                private_data,
            })
        }
        1 => {
            Message::Mra(Mra { local_id, remote_id, received, service_timeout: time, private_data })
        }
        2 => Message::Rej(Rej {
            local_id,
            remote_id,
            received,
            reason: RejectReason(random.below(36) as u16),
            info: &bytes[..random.below(73) as usize],
            private_data,
        }),
        3 => Message::Rep(Rep {
            local_id,
            remote_id,
            qkey: QKey(0),
            qpn: guess.qpn(random),
            local_eecn: 0,
            psn: Psn::new(random.below(3) as u32),
            responder_resources: random.byte(),
            initiator_depth: random.byte(),
            ack_delay: time,
            failover: 0,
            flow_control: true,
            rnr_retries: random.below(8) as u8,
            shared_receive_queue: true,
            ca_guid: 0,
            private_data,
        }),
        4 => Message::Rtu(Rtu { local_id, remote_id, private_data }),
        5 => {
            let remote_qpn = guess.qpn(random);
            Message::Dreq(Dreq { local_id, remote_id, remote_qpn, private_data })
        }
        6 => Message::Drep(Drep { local_id, remote_id, private_data }),
        7 => Message::SidrReq(SidrReq {
            request_id: local_id,
            partition: PKey::DEFAULT,
            service,
            private_data,
        }),
        _ => Message::SidrRep(SidrRep {
            request_id: remote_id,
            status: SidrStatus(random.below(3) as u8),
            qpn: guess.qpn(random),
            service,
            qkey: QKey(7),
            info: &bytes[..random.below(73) as usize],
            private_data,
        }),
    };
    let mut datagram = datagram(route, message);
    if random.often(100) {
        for _ in 0..=random.below(4) {
            let at = random.below(Mad::LENGTH as u64) as usize;
            datagram.1[at] ^= random.byte();
        }
    }
    datagram
}

/// What the application would see: the states of all its communications.
fn look(side: &Side) -> Vec<(CommId, Option<State>, Option<Instant>)> {
    let deadline = side.agent.deadline();
    side.agent.communications().map(|id| (id, side.state(id), deadline)).collect()
}

/// A machine with an application that does this and that, and two liars. Returns how many messages
/// they sent; the ways in which they were refused join `seen`.
pub(crate) fn game(random: &mut impl Dice, rounds: usize, seen: &mut HashSet<Refusal>) -> u64 {
    let communications = 1 + random.below(20) as u32;
    let mut side = Side::with(2, &Config { communications, ..config(2) });
    for port in 1..3 {
        for listen in [Listen::port(port, 3), Listen::datagram_port(port, 3)] {
            side.agent.listen(&listen).expect("a place");
        }
    }
    let (mut alive, mut sent) = (HashSet::new(), 0);
    let mut guess = Guess { ids: vec![CommId(1), CommId(2)], qpns: vec![Qpn::new(0x11)] };
    let mut next = 0x100;
    for _ in 0..rounds {
        let liar = Route { local: address(1 + random.below(2) as u8 * 3), remote: address(2) };
        let lie = lie(random, &guess, liar);
        let (before, counted) = (look(&side), side.agent.counters().total());
        side.receive(&lie);
        let answers = side.sent();
        assert!(answers.len() <= 1, "more out than in: {answers:?}");
        for (route, _) in &answers {
            assert_eq!(
                (route.local, route.remote),
                (liar.remote, liar.local),
                "back to the sender"
            );
        }
        let counted = side.agent.counters().total() - counted;
        assert!(counted <= 1, "refused for more than one reason");
        let changed = look(&side) != before || !answers.is_empty() || !side.book.told.is_empty();
        // What an MRA brings about shows only when time passes.
        let changed =
            changed || matches!(Mad::parse(&lie.1).map(|mad| mad.message), Ok(Message::Mra(_)));
        assert!(changed || counted == 1, "refused silently: {:?}", Mad::parse(&lie.1));
        sent += 1;
        for (id, told) in side.told() {
            match told {
                Told::Request { parameters, .. } => {
                    assert!(alive.insert(id), "a name that is in use");
                    assert_eq!(parameters.route, Route { local: liar.remote, remote: liar.local });
                    // A name that a liar learns from an answer.
                    guess.ids.push(id);
                }
                Told::Resolution { .. } => {
                    assert!(alive.insert(id), "a name that is in use");
                }
                Told::Released => {
                    assert!(alive.remove(&id), "an end of what never was");
                }
                _ => assert!(alive.contains(&id), "{told:?} of what never was"),
            }
        }
        // The application does something.
        let ids: Vec<CommId> = side.agent.communications().collect();
        let (now, book) = (side.now, &mut side.book);
        if random.often(200) {
            next += 1;
            let (route, qpn) = (Route { local: address(2), remote: liar.local }, Qpn::new(next));
            let connect = Connect::port(route, 1, qpn, Psn::new(1));
            let resolve = Resolve {
                route,
                service: ServiceId::ip(PortSpace::Udp, 1),
                source_port: 0,
                private_data: &[],
            };
            let began = match random.below(2) {
                0 => side.agent.connect(&connect, now, book),
                _ => side.agent.resolve(&resolve, now, book),
            };
            if let Ok(id) = began {
                alive.insert(id);
                guess.ids.push(id);
                guess.qpns.push(qpn);
            }
        } else if !ids.is_empty() && random.often(700) {
            let id = ids[random.below(ids.len() as u64) as usize];
            let answer = Answer { qpn: Qpn::new(5), qkey: QKey::IP_CM, private_data: &[] };
            next += 1;
            let accept = Accept::new(Qpn::new(next), Psn::new(1));
            // Whatever its state is: what it does not allow is an error.
            let _ = match random.below(7) {
                0 | 1 => {
                    side.agent.accept(id, &accept, now, book).map(|_| guess.qpns.push(accept.qpn))
                }
                2 => side.agent.establish(id, &[], book),
                3 => side.agent.answer(id, &answer, book),
                4 => side.agent.established(id, book),
                5 if random.often(300) => side.agent.abandon(id, now, book),
                5 => side.agent.disconnect(id, &[], now, book),
                _ if random.often(300) => {
                    side.agent.reject(id, RejectReason::CONSUMER, &[], now, book)
                }
                _ => Ok(()),
            };
        } else if random.often(300) {
            side.expire();
        }
        assert!(side.agent.count() <= communications as usize);
        for (id, told) in side.told() {
            if told == Told::Released {
                assert!(alive.remove(&id), "an end of what never was");
            }
        }
        side.sent();
    }
    assert!(side.agent.communications().all(|id| alive.contains(&id)));
    assert_eq!(alive.len(), side.agent.count(), "an end that was not told");
    // Everything comes back.
    for id in side.agent.communications().collect::<Vec<_>>() {
        side.abandon(id);
    }
    while side.expire() {}
    assert_eq!(side.agent.count(), 0);
    let refused = Refusal::ALL.iter().copied();
    seen.extend(refused.filter(|&refusal| side.refused(refusal) > 0));
    sent
}
