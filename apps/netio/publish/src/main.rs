//! Publishes numbered messages, as a source of a detector's read-out does: so many a second, or as many as its
//! subscribers take.
//!
//! Each has eight bytes of number, little-endian, and then that number's last byte again and again. With `count` it
//! ends when all have been sent, and prints how fast that was.
//!
//! | key of the command line | |
//! | --- | --- |
//! | `over=tcp\|rdma` | what carries them: TCP unless given |
//! | `port=N` | where subscribers connect: 7000 unless given |
//! | `source=N` | the messages' tag: 1 unless given |
//! | `size=BYTES` | of each: 64 unless given |
//! | `rate=N` | how many a second: 1000 unless given; 0 for as many as there is room for |
//! | `count=N` | how many in all; without an end unless given |
//! | `subscribers=N` | how many have to be there before it begins: 1 unless given |
//! | `slow=wait\|drop\|disconnect` | what becomes of slow subscribers: they are waited for unless given |
//! | `unbuffered` | each is sent from where it is |
//! | `http=PORT` | where its metrics are, at `/metrics` |
//! | `icount` | time stamps count instructions: prints how many a message takes |
#![no_std]
#![no_main]

extern crate alloc;

mod metrics;
mod source;

use reflex::netio::{MOST_LINKS, Over, Publication, Settings, Slow};
use reflex::{Argument, Error, SignalMode, System, println};
use source::{Plan, Source};

const OVER: Argument = Argument::text("over", "tcp|rdma", "what carries messages").usually("tcp");
const PORT: Argument =
    Argument::number("port", 1..=65_535, "where subscribers connect").usually("7000");
const SOURCE: Argument = Argument::number("source", 0..=1 << 20, "the messages' tag").usually("1");
const SIZE: Argument = Argument::number("size", 8..=65_520, "bytes of each").usually("64");
const RATE: Argument = Argument::number("rate", 0..=1_000_000, "messages a second").usually("1000");
const COUNT: Argument = Argument::number("count", 1..=1 << 30, "how many in all");
const SUBSCRIBERS: Argument =
    Argument::number("subscribers", 0..=MOST_LINKS as usize, "before it begins").usually("1");
const SLOW: Argument =
    Argument::text("slow", "wait|drop|disconnect", "slow subscribers").usually("wait");
const UNBUFFERED: Argument = Argument::flag("unbuffered", "messages are sent from where they are");
const HTTP: Argument = Argument::number("http", 1..=65_535, "where metrics are");
const ICOUNT: Argument = Argument::flag("icount", "time is counted in instructions");

/// Links there can be beside those that are waited for.
const MORE: u16 = 2;

#[reflex::main(arguments = &[
    OVER, PORT, SOURCE, SIZE, RATE, COUNT, SUBSCRIBERS, SLOW, UNBUFFERED, HTTP, ICOUNT
])]
fn main(system: System) -> Result<(), Error> {
    let number = |argument, usual| system.number(argument).unwrap_or(usual);
    let over = system.argument(OVER).map_or(Some(Over::Tcp), Over::named);
    let over = over.ok_or("over: expected tcp or rdma")?;
    let slow = match system.argument(SLOW) {
        None | Some("wait") => Slow::Wait,
        Some("drop") => Slow::Drop,
        Some("disconnect") => Slow::Disconnect,
        Some(_) => return Err("slow: expected wait, drop or disconnect".into()),
    };
    let plan = Plan {
        tag: number(SOURCE, 1) as u64,
        size: number(SIZE, 64),
        rate: number(RATE, 1000) as u64,
        count: system.number(COUNT).map_or(u64::MAX, |count| count as u64),
        subscribers: number(SUBSCRIBERS, 1) as u32,
        unbuffered: system.flag(UNBUFFERED),
        icount: system.flag(ICOUNT),
    };
    let settings = settings(&plan);
    let memory = settings.memory(settings.links) + (256 << 10);
    let context = system.context("publish", Source::new(system, plan)).memory(memory).build()?;
    let endpoint = system.netio(context).over(over).settings(settings).on(Source::happened)?;
    let port = number(PORT, 7000) as u16;
    let publisher = endpoint.publish(Publication::new(port).slow(slow))?;
    let again = system.signal(SignalMode::Counter).on(context, |source, _| source.go_on())?;
    source::equip(system, context, endpoint, publisher, again)?;
    if let Some(port) = system.number(HTTP) {
        metrics::serve(system, context, port as u16)?;
    }
    println!("publishes at port {port}");
    Ok(())
}

fn settings(plan: &Plan) -> Settings {
    let page = (plan.size + 16).next_power_of_two().max(4096) as u32;
    let links = (plan.subscribers as u16 + MORE).min(MOST_LINKS);
    let watermark = page - page / 8;
    Settings { links, page, watermark, receives: 2, ..Settings::default() }
}
