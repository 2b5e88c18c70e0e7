//! What an operation costs either side of two images, in guest instructions: both count them.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{LIFETIME, LIMIT, MEMORY_MIB, MTUS};
use crate::bench::figure::Figure;
use crate::machine::{Icount, Machine, Outcome};
use crate::peer::{Cable, End, Station};
use crate::protocol::Event;

/// Operations in flight, and how many there are of each.
const WINDOW: u32 = 16;
/// Idle time passes as it does elsewhere: nobody is to think that an answer is overdue.
const COUNTED: Icount = Icount { shift: 0, sleep: true };

/// An operation, its size, how many, and the path MTU with the network's.
const RUNS: [(&str, u32, u32, (u16, u16)); 7] = [
    ("send", 64, 2000, MTUS[0]),
    ("write", 64, 2000, MTUS[0]),
    ("read", 64, 2000, MTUS[0]),
    ("atomic", 8, 2000, MTUS[0]),
    ("send", 65536, 200, MTUS[0]),
    ("write", 65536, 200, MTUS[0]),
    ("write", 65536, 200, MTUS[1]),
];

/// Measures all of it.
pub(super) fn measure(image: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (operation, size, count, (mtu, network_mtu)) in RUNS {
        let cable = Cable::new()?;
        let machine = |number, end| -> (Machine, String) {
            let station = Station::new(number, cable.network(end)).mtu(network_mtu).life(LIFETIME);
            let machine = station.machine(image).memory_mib(MEMORY_MIB).icount(COUNTED);
            (machine.append("icount log=error"), station.ipv4().to_string())
        };
        let (server, address) = machine(1, End::Near);
        let mut server = server.append("rdma.role=server").spawn()?;
        server.wait_for_text("ready", LIMIT)?;
        let client = machine(2, End::Far).0.timeout(LIMIT).append(format!(
            "rdma.role=client rdma.peer={address} rdma.test={operation} rdma.size={size} \
             rdma.count={count} rdma.window={WINDOW}"
        ));
        let client = client.spawn()?.finish();
        ensure!(client.status.success(), "{}:\n{}", client.status, client.tail(20));
        // Of all others the server's application hears nothing.
        let receives = operation == "send";
        if receives {
            server.wait_for_text("receive-instructions", LIMIT)?;
        }
        let server = server.kill();
        let sides = [(operation, &client, "client"), ("receive", &server, "server")];
        for (name, outcome, side) in sides.into_iter().take(1 + usize::from(receives)) {
            let value = value(outcome, &format!("{name}-instructions"))?;
            let case = format!("{operation} of {size} B, MTU {mtu}, {side}");
            let figure = |case: String, value| {
                Figure::new("rdma", case, value, "instructions")
                    .parameter("count", count)
                    .parameter("window", WINDOW)
            };
            figures.push(figure(case.clone(), value));
            if size > 1024 {
                figures.push(figure(format!("{case}, a KB"), value * 1024.0 / f64::from(size)));
            }
        }
    }
    Ok(figures)
}

/// The last figure of that name that was printed.
fn value(outcome: &Outcome, case: &str) -> Result<f64> {
    let printed = outcome.lines.iter().rev().find_map(|line| match &line.event {
        Some(Event::Figure(figure)) if figure.case == case => Some(figure.value),
        _ => None,
    });
    printed.with_context(|| format!("no {case} was printed:\n{}", outcome.tail(20)))
}
