//! The whole of it, of either side.

use super::exchange::Exchange;
use super::lanes::Lanes;
use super::options::Options;
use super::{bandwidth, latency, table};
use crate::terms::Test;
use rdma_script::{Desk, Terms};
use reflex::{Error, System};

/// Starts either side of the test.
pub(crate) fn start(system: System, options: Options) -> Result<(), Error> {
    let pairs = options.pairs as u32;
    // Two regions of all queue pairs; blocks are powers of two, and what is written down of them takes more.
    let region = (options.pairs * options.span()).next_power_of_two();
    let terms = Terms {
        memory: 2 * region / 4 * 5 + (1 << 20),
        completions: pairs * (options.sends() + options.receives()) + 32,
    };
    rdma_script::begin(system, terms, move |desk| run(desk, options))
}

async fn run(desk: Desk, options: Options) -> Result<(), Error> {
    let mut exchange = Exchange::open(&desk, &options).await?;
    let mtu = exchange.greet(options.mtu).await?;
    let mut lanes = Lanes::new(&desk, options)?;
    lanes.meet(&mut exchange, mtu).await?;
    if options.bandwidth {
        let measured = bandwidth::run(&desk, &mut lanes).await?;
        if let Some(measured) = &measured {
            measured.print(&options);
        }
        lanes.synchronise(&mut exchange).await?;
        if options.one_sided() {
            for result in measured.unwrap_or_default().results(&options) {
                exchange.pair(&result).await?;
            }
            lanes.synchronise(&mut exchange).await?;
        }
    } else {
        let mut times = latency::run(&desk, &mut lanes).await?;
        table::latency(&options, &mut times);
        if options.test == Test::Write {
            lanes.leave(&desk).await?;
            return exchange.leave().await;
        }
        lanes.synchronise(&mut exchange).await?;
    }
    lanes.leave(&desk).await?;
    exchange.conclude().await
}
