//! What the kernel command line asks for.

use crate::terms::Test;
use core::net::IpAddr;
use reflex::rdma::PathMtu;
use reflex::{Argument, Error, System};

/// Bytes of the longest message.
const LONGEST: usize = 8 << 20;
/// Most queue pairs.
const MOST: usize = 16;
/// Bytes around which small operations go.
const CYCLE: usize = 4096;

const PORT: Argument =
    Argument::number("rdma.port", 1..=65_535, "of the exchange of parameters").usually("18515");
const PAIRS: Argument = Argument::number("rdma.pairs", 1..=MOST, "queue pairs").usually("1");
const DEPTH: Argument =
    Argument::number("rdma.depth", 1..=1024, "operations under way of a queue pair").usually("128");
const MTU: Argument = Argument::text("rdma.mtu", "256|512|1024|2048|4096", "of the path")
    .usually("as much as frames hold");
const CM: Argument = Argument::flag("rdma.cm", "parameters go over RDMA connections (-R)");
const GBITS: Argument = Argument::flag("rdma.gbits", "bandwidth in Gb/s (--report_gbits)");

/// Keys that only these tests have.
pub(crate) const ARGUMENTS: [Argument; 6] = [PORT, PAIRS, DEPTH, MTU, CM, GBITS];

/// What the kernel command line asks for.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) test: Test,
    /// Bandwidth, not latency.
    pub(crate) bandwidth: bool,
    /// Of a client.
    pub(crate) server: Option<IpAddr>,
    /// By the connection manager.
    pub(crate) cm: bool,
    pub(crate) port: u16,
    pub(crate) size: usize,
    /// Operations of each queue pair.
    pub(crate) count: u64,
    pub(crate) pairs: usize,
    pub(crate) depth: u32,
    pub(crate) mtu: PathMtu,
    pub(crate) gbits: bool,
}

impl Options {
    /// Of the program of that name: `None` when there is none, or none of perftest's.
    pub(crate) fn program(name: &str) -> Option<(Test, bool)> {
        let (test, figure) = name.strip_prefix("ib_")?.split_once('_')?;
        let test = Test::ALL.into_iter().find(|it| it.name() == test)?;
        match figure {
            "lat" => Some((test, false)),
            "bw" => Some((test, true)),
            _ => None,
        }
    }

    /// Reads what there is beside the program's name.
    ///
    /// # Errors
    /// When something makes no sense.
    pub(crate) fn read(
        system: System,
        (test, bandwidth): (Test, bool),
        server: Option<IpAddr>,
        size: Option<usize>,
        count: Option<usize>,
    ) -> Result<Self, Error> {
        let usual = if bandwidth { 1 << 16 } else { 2 };
        let size = match test {
            Test::Atomic => size_of::<u64>(),
            _ => size.unwrap_or(usual),
        };
        if size > LONGEST {
            return Err("rdma.size: more than a message may have".into());
        }
        let most = system.rdma()?.mtu();
        let wanted = system.argument(MTU).map(str::parse::<usize>);
        let mtu = match wanted {
            None => Some(most),
            Some(wanted) => {
                PathMtu::ALL.into_iter().find(|mtu| Ok(mtu.bytes()) == wanted && *mtu <= most)
            }
        };
        Ok(Self {
            test,
            bandwidth,
            server,
            cm: system.flag(CM),
            port: system.number(PORT).unwrap_or(18_515) as u16,
            size,
            count: count.unwrap_or(1000) as u64,
            pairs: system.number(PAIRS).unwrap_or(1),
            depth: system.number(DEPTH).unwrap_or(128) as u32,
            mtu: mtu.ok_or("rdma.mtu: expected 256 to 4096, and no more than fits a frame")?,
            gbits: system.flag(GBITS),
        })
    }

    /// Bytes of a queue pair's part of memory.
    pub(crate) fn span(&self) -> usize {
        self.size.next_multiple_of(CYCLE)
    }

    /// Where an operation's memory lies in its part: small ones go round in it.
    pub(crate) fn offset(&self, number: u64) -> usize {
        let step = self.size.next_multiple_of(64);
        if step >= CYCLE { 0 } else { number as usize % (CYCLE / step) * step }
    }

    /// Sends of a queue pair.
    pub(crate) fn sends(&self) -> u32 {
        if self.bandwidth { self.depth } else { 2 }
    }

    /// Receives of a queue pair.
    pub(crate) fn receives(&self) -> u32 {
        match (self.test, self.bandwidth) {
            (Test::Send, true) => 512.min(self.count as u32).max(1),
            (Test::Send, false) => 2,
            _ => 0,
        }
    }

    /// Whether only the client works.
    pub(crate) fn one_sided(&self) -> bool {
        self.test != Test::Send && self.bandwidth
    }
}
