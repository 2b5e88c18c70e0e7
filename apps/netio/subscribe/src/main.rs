//! Receives what a publisher publishes, checks it, and says how fast it came.
//!
//! | key of the command line | |
//! | --- | --- |
//! | `publisher=ADDRESS` | where it is |
//! | `port=N` | 7000 unless given |
//! | `over=tcp\|rdma` | what carries messages: TCP unless given |
//! | `tag=N`, `mask=N` | which messages: those with the tag 1 unless given, in all bits unless a mask is |
//! | `links=N` | how many times, each over a connection of its own: once unless given |
//! | `count=N` | after so many of each link it prints figures and ends |
//! | `slow=N` | it takes so many microseconds for each message |
//! | `icount` | time stamps count instructions: prints how many a message takes |
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use reflex::netio::{Event, MOST_LINKS, Over, Settings, Tags};
use reflex::{Argument, Error, Instant, System, log, machine_line, println, status};

const PUBLISHER: Argument = Argument::text("publisher", "ADDRESS", "where it is");
const PORT: Argument = Argument::number("port", 1..=65_535, "the publisher's").usually("7000");
const OVER: Argument = Argument::text("over", "tcp|rdma", "what carries messages").usually("tcp");
const TAG: Argument = Argument::number("tag", 0..=usize::MAX, "which messages").usually("1");
const MASK: Argument = Argument::number("mask", 0..=usize::MAX, "the tag's bits that count");
const LINKS: Argument =
    Argument::number("links", 1..=MOST_LINKS as usize, "connections").usually("1");
const COUNT: Argument = Argument::number("count", 1..=1 << 30, "how many of each link");
const SLOW: Argument = Argument::number("slow", 1..=1_000_000, "microseconds for each message");
const ICOUNT: Argument = Argument::flag("icount", "time is counted in instructions");

struct Subscriber {
    system: System,
    /// How many messages of each link there are to be.
    count: u64,
    slow: Option<Duration>,
    /// Messages of each link, and the number of the last of its present connection: the next may be with a publisher that
    /// has been started anew, and counts from 0.
    links: Vec<(u64, Option<u64>)>,
    /// Links that have had theirs.
    done: usize,
    received: u64,
    /// When the first came, and what the processor had done then.
    began: Option<(Instant, u64)>,
    missed: u64,
}

#[reflex::main(arguments = &[PUBLISHER, PORT, OVER, TAG, MASK, LINKS, COUNT, SLOW, ICOUNT])]
fn main(system: System) -> Result<(), Error> {
    let publisher: IpAddr = system
        .argument(PUBLISHER)
        .and_then(|address| address.parse().ok())
        .ok_or("publisher: expected an IP address")?;
    let over = system.argument(OVER).map_or(Some(Over::Tcp), Over::named);
    let over = over.ok_or("over: expected tcp or rdma")?;
    let links = system.number(LINKS).unwrap_or(1);
    let (tag, mask) = (system.number(TAG).unwrap_or(1), system.number(MASK).unwrap_or(usize::MAX));
    let state = Subscriber {
        system,
        count: system.number(COUNT).map_or(u64::MAX, |count| count as u64),
        slow: system.number(SLOW).map(|micros| Duration::from_micros(micros as u64)),
        links: vec![(0, None); links],
        done: 0,
        received: 0,
        began: None,
        missed: 0,
    };
    let settings = Settings {
        links: links as u16,
        page: 65_536,
        watermark: 1024,
        pages: 2,
        receives: 4,
        ..Settings::default()
    };
    let memory = settings.memory(settings.links) + (256 << 10);
    let context = system.context("subscribe", state).memory(memory).build()?;
    let endpoint = system.netio(context).over(over).settings(settings);
    let endpoint = endpoint.on(Subscriber::happened)?;
    let to = SocketAddr::new(publisher, system.number(PORT).unwrap_or(7000) as u16);
    for _ in 0..links {
        endpoint.subscribe(to)?.add(Tags::masked(tag as u64, mask as u64))?;
    }
    println!("subscribes at {to}");
    Ok(())
}

impl Subscriber {
    fn happened(&mut self, event: Event<'_>) {
        match event {
            Event::Message { socket, bytes, .. } => self.received(socket.place(), bytes),
            Event::Subscribed { tags, .. } => log::info!("subscribed to {tags}"),
            Event::Declined { tags, .. } => log::warn!("declined {tags}"),
            Event::Down { socket, why, .. } => {
                log::warn!("down: {why}");
                self.links[socket.place()].1 = None;
            }
            Event::Refused { why, .. } => log::debug!("not connected: {why}"),
            _ => {}
        }
    }

    fn received(&mut self, link: usize, bytes: &[u8]) {
        let Some((number, rest)) = bytes.split_first_chunk() else {
            log::error!("a message has no number");
            self.system.exit(status::MAIN_FAILED)
        };
        let number = u64::from_le_bytes(*number);
        let ends = [rest.first(), rest.last()];
        let (count, last) = &mut self.links[link];
        let in_order = last.is_none_or(|last| number > last);
        if !in_order || ends.into_iter().flatten().any(|byte| *byte != number as u8) {
            log::error!("message {number} after {last:?} is out of order or damaged");
            self.system.exit(status::MAIN_FAILED)
        }
        self.missed += last.map_or(0, |last| number - last - 1);
        (*count, *last) = (*count + 1, Some(number));
        let done = *count == self.count;
        self.received += 1;
        if self.began.is_none() {
            self.began = Some((self.system.now(), self.system.busy()));
        }
        if let Some(time) = self.slow {
            self.dawdle(time);
        }
        self.done += usize::from(done);
        if done && self.done == self.links.len() {
            self.finish(bytes.len());
        }
    }

    /// Takes its time, as a handler with more to do does.
    fn dawdle(&self, time: Duration) {
        let end = self.system.now() + time;
        while self.system.now() < end {
            spin_loop();
        }
    }

    /// All links have had as many messages as they are to have.
    fn finish(&self, size: usize) {
        let Some((began, busy)) = self.began else { return };
        let busy = self.system.busy() - busy;
        let (links, received) = (self.links.len(), self.received);
        let nanos = self.system.now().since(began).as_nanos().max(1);
        let rate = u128::from(received) * 1_000_000_000 / nanos;
        machine_line!(
            "figure netio received size={size} count={received} links={links} missed={} \
             value={rate} unit=messages/s",
            self.missed
        );
        if self.system.flag(ICOUNT) {
            machine_line!(
                "figure netio receive-instructions size={size} count={received} links={links} \
                 value={} unit=instructions",
                busy / received
            );
        }
        self.system.exit(status::SUCCESS);
    }
}
