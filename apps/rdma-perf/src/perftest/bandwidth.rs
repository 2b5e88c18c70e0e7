//! Bandwidth: as many operations under way as there may be, of all queue pairs.

use super::lanes::Lanes;
use super::table::Bandwidth;
use crate::terms::Test;
use alloc::collections::VecDeque;
use rdma_script::Desk;
use reflex::Error;

/// What a client has measured; a server measures nothing.
pub(crate) async fn run(desk: &Desk, lanes: &mut Lanes) -> Result<Option<Bandwidth>, Error> {
    let total = lanes.options.count * lanes.options.pairs as u64;
    if lanes.options.server.is_some() {
        return work(desk, lanes, total).await.map(Some);
    }
    if lanes.options.test == Test::Send {
        let mut received = 0;
        while received < total {
            lanes.count(&desk.done().await?)?;
            received += 1;
        }
    }
    Ok(None)
}

async fn work(desk: &Desk, lanes: &mut Lanes, total: u64) -> Result<Bandwidth, Error> {
    let (count, depth) = (lanes.options.count, u64::from(lanes.options.depth));
    let window = (depth * lanes.options.pairs as u64).min(total);
    // When the last of them were done: the shortest time for a window is the peak's.
    let mut ends = VecDeque::with_capacity(window as usize + 1);
    let began = desk.system.now();
    let mut shortest = u64::MAX;
    ends.push_back(0);
    for number in 0..lanes.options.pairs {
        for _ in 0..depth.min(count) {
            lanes.post(number)?;
        }
    }
    let mut done = 0;
    while done < total {
        let Some(number) = lanes.count(&desk.done().await?)? else { continue };
        done += 1;
        if lanes.lanes[number].posted < count {
            lanes.post(number)?;
        }
        let now = desk.system.now().since(began).as_nanos() as u64;
        if ends.len() as u64 == window
            && let Some(first) = ends.pop_front()
        {
            shortest = shortest.min(now - first);
        }
        ends.push_back(now);
    }
    let time = desk.system.now().since(began).as_nanos() as u64;
    // Of a single window there is no better part.
    let shortest = if shortest == u64::MAX { time } else { shortest };
    Ok(Bandwidth { count: total, time, window, shortest: shortest.max(1) })
}
