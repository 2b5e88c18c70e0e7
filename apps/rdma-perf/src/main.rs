//! Latency, rate and bandwidth of RDMA operations between two machines, of which either can be Linux
//! with the program `perf` of the project's Linux peer. `terms` has what the two agree on.
//!
//! The server serves connection after connection. The client first does one operation at a time, which
//! gives the latency; of messages it is half of the time until one has come back. Then it does as many
//! with several in flight, which gives the rate. It prints its figures as lines for machines,
//! `#! figure rdma TEST-WHAT size=N count=N window=N mtu=N wait=events value=N unit=UNIT`, and ends.
//!
//! Asked for by the name of one of perftest's programs, it is either side of that ([`perftest`]): then the other
//! side is that program on Linux, or this image.
//!
//! Keys of the kernel command line:
//!
//! | key | |
//! | --- | --- |
//! | `rdma.role=server\|client` | a server unless given |
//! | `rdma.peer=ADDRESS` | a client's server |
//! | `rdma.test=send\|write\|read\|atomic` | `send` unless given |
//! | `rdma.test=ib_send_lat\|ib_send_bw\|...` | the program of perftest, on both sides |
//! | `rdma.size=BYTES` | of an operation, 64 unless given; an atomic one always has 8 |
//! | `rdma.count=N` | operations, 1000 unless given |
//! | `rdma.window=N` | operations in flight, 64 unless given |
//! | `rdma.port=N` | of perftest's, 18515 unless given |
//! | `rdma.pairs=N` | `-q`, 1 unless given |
//! | `rdma.depth=N` | `-t`, 128 unless given |
//! | `rdma.mtu=BYTES` | `-m`, what frames hold unless given |
//! | `rdma.cm` | `-R`: parameters go over RDMA connections |
//! | `rdma.gbits` | `--report_gbits` |
//! | `icount` | time stamps count instructions: prints, too, how many each operation takes |
#![no_std]
#![no_main]

extern crate alloc;

mod client;
mod end;
mod figures;
mod perftest;
mod server;
mod terms;

use core::net::IpAddr;
use reflex::{Argument, Error, System};
use terms::{Ask, LARGEST_WINDOW, REGION, Test};

const ROLE: Argument = Argument::text("rdma.role", "server|client", "its side").usually("server");
const PEER: Argument = Argument::text("rdma.peer", "ADDRESS", "the server, for a client");
const TEST: Argument =
    Argument::text("rdma.test", "send|write|read|atomic|ib_send_lat|...", "what is measured")
        .usually("send");
const SIZE: Argument =
    Argument::number("rdma.size", 1..=8 * REGION, "bytes of each").usually("64, or perftest's");
const COUNT: Argument = Argument::number("rdma.count", 1..=1 << 20, "how many").usually("1000");
const WINDOW: Argument =
    Argument::number("rdma.window", 1..=LARGEST_WINDOW as usize, "under way at a time")
        .usually("64");
const ARGUMENTS: &[Argument] = &{
    let [port, pairs, depth, mtu, cm, gbits] = perftest::ARGUMENTS;
    [ROLE, PEER, TEST, SIZE, COUNT, WINDOW, figures::ICOUNT, port, pairs, depth, mtu, cm, gbits]
};

#[reflex::main(arguments = ARGUMENTS)]
fn main(system: System) -> Result<(), Error> {
    let is_client = match system.argument(ROLE) {
        None | Some("server") => false,
        Some("client") => true,
        Some(_) => return Err("rdma.role: expected server or client".into()),
    };
    let peer = if is_client { Some(peer(system)?) } else { None };
    if let Some(program) = system.argument(TEST).and_then(perftest::Options::program) {
        let (size, count) = (system.number(SIZE), system.number(COUNT));
        let options = perftest::Options::read(system, program, peer, size, count)?;
        return perftest::start(system, options);
    }
    let ask = ask(system)?;
    match peer {
        None => server::start(system),
        Some(peer) => client::start(system, peer, ask),
    }
}

fn peer(system: System) -> Result<IpAddr, Error> {
    let address = system.argument(PEER).unwrap_or_default();
    Ok(address.parse().map_err(|_| "rdma.peer: expected an IP address")?)
}

fn ask(system: System) -> Result<Ask, Error> {
    let name = system.argument(TEST).unwrap_or("send");
    let test = Test::ALL.into_iter().find(|test| test.name() == name);
    let test =
        test.ok_or("rdma.test: expected send, write, read, atomic, or a program of perftest")?;
    let size = system.number(SIZE).unwrap_or(64);
    if size > REGION {
        return Err("rdma.size: more than a server offers".into());
    }
    Ok(Ask {
        test,
        size: size as u32,
        count: system.number(COUNT).unwrap_or(1000) as u32,
        window: system.number(WINDOW).unwrap_or(64) as u32,
    })
}
