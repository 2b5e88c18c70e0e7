//! Latency: one operation at a time, of one queue pair.

use super::lanes::Lanes;
use crate::terms::Test;
use alloc::vec::Vec;
use rdma_script::Desk;
use reflex::Error;

/// The operations of this side, and what each took, in nanoseconds; of messages and writes half of the time until
/// the other side's was here.
pub(crate) async fn run(desk: &Desk, lanes: &mut Lanes) -> Result<Vec<u64>, Error> {
    let is_client = lanes.options.server.is_some();
    match (lanes.options.test, is_client) {
        (Test::Send, true) => serve_messages(desk, lanes).await,
        (Test::Send, false) => answer_messages(desk, lanes).await.map(|()| Vec::new()),
        (Test::Write, _) => write(desk, lanes).await,
        (Test::Read | Test::Atomic, true) => fetch(desk, lanes).await,
        (Test::Read | Test::Atomic, false) => Ok(Vec::new()),
    }
}

/// Until so many messages have come, and as many sends are done.
async fn until(desk: &Desk, lanes: &mut Lanes, received: u64, done: u64) -> Result<(), Error> {
    while lanes.lanes[0].received < received || lanes.lanes[0].done < done {
        lanes.count(&desk.done().await?)?;
    }
    Ok(())
}

async fn serve_messages(desk: &Desk, lanes: &mut Lanes) -> Result<Vec<u64>, Error> {
    let count = lanes.options.count;
    let mut times = Vec::with_capacity(count as usize);
    for number in 0..count {
        let began = desk.system.now();
        lanes.post(0)?;
        until(desk, lanes, number + 1, number).await?;
        times.push(desk.system.now().since(began).as_nanos() as u64 / 2);
        until(desk, lanes, number + 1, number + 1).await?;
    }
    Ok(times)
}

async fn answer_messages(desk: &Desk, lanes: &mut Lanes) -> Result<(), Error> {
    let count = lanes.options.count;
    for number in 0..count {
        until(desk, lanes, number + 1, number).await?;
        lanes.post(0)?;
    }
    until(desk, lanes, count, count).await
}

/// Writes by turns: the server begins. Each side tells its writes by their number's last digits in the last byte.
async fn write(desk: &Desk, lanes: &mut Lanes) -> Result<Vec<u64>, Error> {
    let count = lanes.options.count;
    let is_client = lanes.options.server.is_some();
    let mut times = Vec::with_capacity(count as usize);
    let (mut seen, mut began) = (0, desk.system.now());
    for number in 1..=count {
        // The server's first write answers none.
        let awaited = if is_client { number } else { number - 1 };
        if awaited > 0 {
            while lanes.marked()? != awaited as u8 {
                desk.written(&mut seen).await?;
            }
            let now = desk.system.now();
            if number > 1 {
                times.push(now.since(began).as_nanos() as u64 / 2);
            }
            began = now;
        }
        while lanes.lanes[0].done + 1 < number {
            lanes.count(&desk.done().await?)?;
        }
        lanes.mark(number as u8)?;
        lanes.post(0)?;
    }
    if !is_client {
        while lanes.marked()? != count as u8 {
            desk.written(&mut seen).await?;
        }
    }
    // The other side may end as soon as it has seen the last, before that is acknowledged.
    while lanes.lanes[0].done < count {
        lanes.count(&desk.any().await)?;
    }
    Ok(times)
}

async fn fetch(desk: &Desk, lanes: &mut Lanes) -> Result<Vec<u64>, Error> {
    let count = lanes.options.count;
    let mut times = Vec::with_capacity(count as usize);
    for number in 0..count {
        let began = desk.system.now();
        lanes.post(0)?;
        until(desk, lanes, 0, number + 1).await?;
        times.push(desk.system.now().since(began).as_nanos() as u64);
    }
    Ok(times)
}
