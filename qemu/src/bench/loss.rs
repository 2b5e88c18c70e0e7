//! `loss`: what a connection carries through a way that loses packets, beside Linux.
//!
//! A Linux router delays what it passes on, for a round trip of 20 ms, and loses some of it, in both directions alike. At one
//! of its sides Linux sends and receives; at the other are our image and another Linux, in turn, which
//! serve the same. So the same clock measures both, through the same router and in the same minute.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Report;
use super::figure::Figure;
use super::sample::median;
use super::subject::command;
use crate::machine::Running;
use crate::peer::{Cable, End, Flavour, Hub, Peer, Router, Session};
use crate::protocol::Protocol;
use crate::{build, process};

const IMAGE: &str = "guest-transfer";
/// Bytes of a transfer.
const BYTES: u64 = 16 << 20;
/// Bytes of each buffer of the image's: four times what is under way with a round trip of 20 ms and 3 MB/s.
const BUFFER: u32 = 256 << 10;
const MEMORY_MIB: u32 = 128;
/// Half of the round trip.
const DELAY: &str = "10ms";
/// Losses in each direction, in percent.
const LOSSES: [f64; 3] = [0.1, 1.0, 5.0];
/// Ports of both servers.
const SINK: u16 = 2001;
const SOURCE: u16 = 2002;
/// Numbers of the stations.
const OURS: u8 = 2;
const THEIRS: u8 = 3;
const CLIENT: u8 = 2;
/// The longest that a transfer may take, and that all of them may.
const LIMIT: Duration = Duration::from_secs(900);
const LIFETIME: Duration = Duration::from_secs(4 * 3600);

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// From the server that is measured to Linux.
    From,
    To,
}

const WAYS: [Way; 2] = [Way::From, Way::To];

/// The servers, the router and the client, which run as long as this value lives.
struct Stage {
    router: Router,
    client: Session,
    _image: Running,
    _linux: Option<Session>,
    command: String,
}

/// Goodputs in KB/s, of ours and of Linux's.
#[derive(Clone, Default)]
struct Series {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// Measures; beside Linux if that is `compared`.
pub(crate) fn run(compared: bool, pairs: u32, report: &mut Report) -> Result<()> {
    let image = build::image(IMAGE)?;
    // The router and the other side are Linux, with or without a comparison.
    let peer = process::outside(Peer::ensure).context("the Linux peer")?;
    let (near, far) = (Hub::new()?, Cable::new()?);
    let router = Router::boot_for(LIFETIME, &peer, near.network(), far.network(End::Near))?;
    let station = |number| Router::station(number, false, near.network()).life(LIFETIME);
    let words = format!("bytes={BYTES} buffer={BUFFER} log=error");
    let machine = station(OURS).machine(image).memory_mib(MEMORY_MIB).append(words);
    let typed = command(&machine);
    let mut image = machine.spawn()?;
    image.wait_for_listen(Protocol::Tcp, SINK, LIMIT)?;
    image.wait_for_listen(Protocol::Tcp, SOURCE, LIMIT)?;
    let linux = compared.then(|| serving(&peer, station(THEIRS))).transpose()?;
    let place = Router::station(CLIENT, true, far.network(End::Far)).life(LIFETIME);
    let client = Session::boot_as(Flavour::Netem, &peer, place)?;
    let mut stage = Stage { router, client, _image: image, _linux: linux, command: typed };
    for loss in LOSSES {
        stage.router.impair_all(&format!("delay {DELAY} loss {loss}%"))?;
        for way in WAYS {
            let series = stage.measure(way, compared, pairs)?;
            report.add(figure(loss, way, &series, &stage.command)?);
        }
    }
    Ok(())
}

/// A Linux guest that serves what the image does.
fn serving(peer: &Peer, station: crate::peer::Station) -> Result<Session> {
    let mut session = Session::boot_as(Flavour::Netem, peer, station)?;
    let serve = session.start(&format!("stream serve {SINK} {SOURCE} {BYTES}"))?;
    session.wait_for_output(serve, "ready", LIMIT)?;
    Ok(session)
}

impl Stage {
    /// All transfers of one way through one loss, in pairs of alternating order.
    fn measure(&mut self, way: Way, compared: bool, pairs: u32) -> Result<Series> {
        let mut series = Series::default();
        for repetition in 0..pairs {
            let mut order = vec![OURS];
            order.extend(compared.then_some(THEIRS));
            if repetition % 2 == 1 {
                order.reverse();
            }
            for server in order {
                let rate = self.transfer(way, server)?;
                match server {
                    OURS => series.ours.push(rate),
                    _ => series.theirs.push(rate),
                }
            }
        }
        Ok(series)
    }

    /// One transfer: KB/s.
    fn transfer(&mut self, way: Way, server: u8) -> Result<f64> {
        let command = match way {
            Way::To => format!("stream send 10.88.0.{server} {SINK} {BYTES}"),
            Way::From => format!("stream receive 10.88.0.{server} {SOURCE}"),
        };
        let printed = self.client.run(&command, LIMIT)?.success()?;
        let rate = goodput(&printed)?;
        let name = if server == OURS { "reflex" } else { "linux" };
        eprintln!("  loss, {way:?} {name}: {rate:.0} KB/s");
        Ok(rate)
    }
}

/// KB/s of what a client of `stream` has printed.
fn goodput(printed: &str) -> Result<f64> {
    let words: Vec<&str> = printed.split_ascii_whitespace().collect();
    let ["bytes", bytes, "us", micros] = words[..] else {
        anyhow::bail!("`stream` has printed {printed:?}")
    };
    let (bytes, micros): (u64, u64) = (bytes.parse()?, micros.parse()?);
    ensure!(bytes == BYTES && micros > 0, "{bytes} bytes went instead of {BYTES}");
    Ok(bytes as f64 * 1000.0 / micros as f64)
}

fn figure(loss: f64, way: Way, series: &Series, command: &str) -> Result<Figure> {
    let case = match way {
        Way::From => format!("16 MiB to Linux, {loss} % lost"),
        Way::To => format!("16 MiB from Linux, {loss} % lost"),
    };
    let ours = median(&series.ours).context("nothing was measured")?;
    let figure = Figure::new("loss", case, ours, "KB/s")
        .parameter("round_trip_ms", 20)
        .parameter("buffer", BUFFER)
        .parameter("repetitions", series.ours.clone())
        .parameter("command", command);
    Ok(match median(&series.theirs) {
        Some(theirs) => {
            figure.parameter("peer_repetitions", series.theirs.clone()).against("linux", theirs)
        }
        None => figure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goodput_is_of_all_bytes_or_none() {
        assert_eq!(goodput(&format!("bytes {BYTES} us 16777216\n")).unwrap(), 1000.0);
        for wrong in ["", "bytes 1 us 5", "bytes 16777216 us 0", "bytes x us 1"] {
            assert!(goodput(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_figure_is_of_medians() {
        let series = Series { ours: vec![9.0, 100.0, 10.0], theirs: vec![40.0, 20.0, 1.0] };
        let figure = figure(0.1, Way::From, &series, "qemu").unwrap();
        assert_eq!((figure.value, figure.peer_value, figure.ratio), (10.0, Some(20.0), Some(0.5)));
        assert_eq!(figure.case, "16 MiB to Linux, 0.1 % lost");
        let alone = Series { theirs: Vec::new(), ..series };
        assert_eq!(super::figure(5.0, Way::To, &alone, "qemu").unwrap().peer, None);
    }
}
