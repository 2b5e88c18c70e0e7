//! An event builder: many publishers send a fragment of each event, and the events are put together of these.
//!
//! A fragment's first eight bytes are its event's number, as `netio-publish` has them. An event is built when each
//! publisher's fragment of it has come, and given up when a later one needs its place. What is built, given up and held up
//! are metrics, at `/metrics`; rates are printed once a second.
//!
//! | key of the command line | |
//! | --- | --- |
//! | `publishers=ADDRESS[:PORT],..` | where they are, 64 at most; port 7000 unless given |
//! | `over=tcp\|rdma` | what carries fragments: TCP unless given |
//! | `window=N` | events that are being built at a time: 16384 unless given |
//! | `count=N` | it ends when so many have been built |
//! | `http=PORT` | where its metrics are: 80 unless given |
#![no_std]
#![no_main]

extern crate alloc;

mod builder;

use alloc::string::ToString;
use alloc::vec::Vec;
use builder::Builder;
use core::net::{IpAddr, SocketAddr};
use reflex::http::{Reply, Request};
use reflex::netio::{Over, Settings, Tags};
use reflex::time::secs;
use reflex::{Argument, Error, System, println};

const PUBLISHERS: Argument =
    Argument::text("publishers", "ADDRESS[:PORT],..", "where they are, 64 at most");
const OVER: Argument = Argument::text("over", "tcp|rdma", "what carries them").usually("tcp");
const WINDOW: Argument =
    Argument::number("window", 1..=1 << 20, "events that are being built").usually("16384");
const COUNT: Argument = Argument::number("count", 1..=1 << 30, "how many in all");
const HTTP: Argument = Argument::number("http", 1..=65_535, "where metrics are").usually("80");

/// Publishers at most: each is a bit of an event.
const MOST: usize = 64;

#[reflex::main(arguments = &[PUBLISHERS, OVER, WINDOW, COUNT, HTTP])]
fn main(system: System) -> Result<(), Error> {
    let over = system.argument(OVER).map_or(Some(Over::Tcp), Over::named);
    let over = over.ok_or("over: expected tcp or rdma")?;
    let list = system.argument(PUBLISHERS).unwrap_or_default();
    let publishers: Option<Vec<SocketAddr>> = list.split(',').map(address).collect();
    let publishers = publishers.filter(|all| all.len() <= MOST);
    let publishers = publishers.ok_or("publishers: expected 1 to 64 IP addresses, with ports")?;
    let links = publishers.len() as u16;
    let settings = Settings { links, pages: 2, receives: 8, ..Settings::default() };
    let count = system.number(COUNT).map_or(u64::MAX, |count| count as u64);
    let window = system.number(WINDOW).unwrap_or(16384);
    let memory = settings.memory(links) + (512 << 10);
    let builder = Builder::new(system, publishers.len(), window, count);
    let context = system.context("readout", builder).memory(memory).build()?;
    let endpoint = system.netio(context).over(over).settings(settings).on(Builder::happened)?;
    for publisher in publishers {
        endpoint.subscribe(publisher)?.add(Tags::all())?;
    }
    system.every(secs(1)).on(context, |builder, _| builder.tell())?;
    let show = move |_: &mut Builder, _: &Request<'_>| {
        Reply::ok().body("text/plain; version=0.0.4", system.metrics().to_string())
    };
    let port = system.number(HTTP).unwrap_or(80) as u16;
    system.http(port).connections(2).get("/metrics", context, show).serve()?;
    println!("builds events of {links} publishers");
    Ok(())
}

/// An address, with a port or without.
fn address(text: &str) -> Option<SocketAddr> {
    let alone = |address: IpAddr| SocketAddr::new(address, 7000);
    text.parse().ok().or_else(|| text.parse().ok().map(alone))
}
