//! Servers: an honest one, and ways to be another.

use crate::support::answer::Answer;
use crate::support::sent::Sent;
use crate::support::{Dice, ip};
use reflex_dhcp::Kind;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// How a server behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behaviour {
    /// As RFC 2131 says, with leases of so many seconds.
    Honest(u32),
    /// It hears nothing.
    Silent,
    /// It offers, and refuses each request.
    Refusing,
    /// It offers, and hears no request.
    Forgetful,
    /// It offers under ever new names, and refuses.
    Nameless,
    /// It gives leases of no time.
    Timeless,
    /// It gives leases of the shortest time, and refuses to prolong them.
    Fickle,
    /// It gives addresses that others have.
    Doubling,
    /// It refuses everybody's requests under its own name.
    Meddling,
    /// It sends what is broken.
    Garbling,
}

pub(crate) const LIARS: [Behaviour; 9] = [
    Behaviour::Silent,
    Behaviour::Refusing,
    Behaviour::Forgetful,
    Behaviour::Nameless,
    Behaviour::Timeless,
    Behaviour::Fickle,
    Behaviour::Doubling,
    Behaviour::Meddling,
    Behaviour::Garbling,
];

/// The address of which liars say that it is free.
pub(crate) const TAKEN: Ipv4Addr = ip(200);

/// What servers that stand for one another have in common.
#[derive(Clone, Default, Debug)]
pub(crate) struct Book {
    /// The client's address, once it was offered.
    pub(crate) bound: Option<Ipv4Addr>,
    declined: BTreeSet<Ipv4Addr>,
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) behaviour: Behaviour,
    pub(crate) address: Ipv4Addr,
    /// Which of the books it writes in.
    pub(crate) book: usize,
    /// It is there until then, in seconds.
    pub(crate) dies: f64,
}

impl Server {
    /// What it answers; the second is the time that it grants, if it does.
    pub(crate) fn answers(&self, book: &mut Book, sent: &Sent, dice: &mut Dice) -> Vec<Answer> {
        let offers = sent.kind == Kind::Discover;
        let mine = sent.server() == Some(self.address);
        let plain = || match sent.kind {
            Kind::Discover => Answer::offer(sent).by(self.address).address(ip(100)),
            _ => {
                Answer::ack(sent).by(self.address).address(sent.requested().unwrap_or(sent.ciaddr))
            }
        };
        let refusal = || Answer::nak(sent).by(self.address);
        let wanted = matches!(sent.kind, Kind::Discover | Kind::Request);
        match self.behaviour {
            _ if !wanted && !matches!(self.behaviour, Behaviour::Honest(_)) => vec![],
            Behaviour::Honest(seconds) => self.honest(book, seconds, sent),
            Behaviour::Silent => vec![],
            Behaviour::Refusing if offers => vec![plain()],
            Behaviour::Refusing => {
                if mine {
                    vec![refusal()]
                } else {
                    vec![]
                }
            }
            Behaviour::Forgetful => {
                if offers {
                    vec![plain()]
                } else {
                    vec![]
                }
            }
            Behaviour::Nameless if offers => vec![plain().by(ip(100 + dice.below(100) as u8))],
            Behaviour::Nameless => match sent.server() {
                Some(name) if name.octets()[3] >= 100 => vec![refusal().by(name)],
                _ => vec![],
            },
            Behaviour::Timeless => vec![plain().seconds(0)],
            Behaviour::Fickle if offers || mine => vec![plain().seconds(10)],
            Behaviour::Fickle => vec![refusal()],
            Behaviour::Doubling if offers || mine => vec![plain().address(TAKEN)],
            Behaviour::Doubling => vec![],
            Behaviour::Meddling => {
                if offers {
                    vec![]
                } else {
                    vec![refusal()]
                }
            }
            Behaviour::Garbling => (0..3).map(|_| garbled(plain(), dice)).collect(),
        }
    }

    /// RFC 2131, 4.3.
    fn honest(&self, book: &mut Book, seconds: u32, sent: &Sent) -> Vec<Answer> {
        let grant = |answer: Answer, address| {
            vec![answer.by(self.address).address(address).seconds(seconds)]
        };
        match sent.kind {
            Kind::Discover => {
                let free = || (20..100).map(ip).find(|free| !book.declined.contains(free));
                let address = book.bound.or_else(free).expect("a free address");
                book.bound = Some(address);
                grant(Answer::offer(sent), address)
            }
            Kind::Request => {
                let asked = sent.requested().unwrap_or(sent.ciaddr);
                match (sent.server(), book.bound) {
                    (Some(server), _) if server != self.address => vec![],
                    (_, Some(bound)) if bound == asked => grant(Answer::ack(sent), asked),
                    (Some(_), _) => vec![Answer::nak(sent).by(self.address)],
                    // It knows nothing of the client.
                    (None, _) => vec![],
                }
            }
            Kind::Decline => {
                if book.bound == sent.requested() {
                    book.declined.extend(book.bound.take());
                }
                vec![]
            }
            Kind::Release => {
                book.bound = None;
                vec![]
            }
            Kind::Inform => vec![],
        }
    }
}

/// An answer with something wrong in it.
fn garbled(answer: Answer, dice: &mut Dice) -> Answer {
    match dice.below(7) {
        0 => Answer { xid: dice.next() as u32, ..answer },
        1 => Answer { tail: vec![6, 200, 1], ..answer },
        2 => answer.with(54, [0, 0, 0, 0]),
        3 => answer.and(53, [dice.next() as u8]),
        4 => answer.address(Ipv4Addr::from_bits(u32::MAX)),
        5 => answer.without(dice.of(&[51, 53, 54])).seconds(3),
        _ => answer.with(1, vec![dice.next() as u8; dice.below(9) as usize]).seconds(1),
    }
}
