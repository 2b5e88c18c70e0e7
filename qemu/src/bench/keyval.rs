//! `keyval`: keys and values, by Debian's `redis-benchmark`, side by side with redis on Linux.
//!
//! Each system is booted with instructions counted, which gives the busy ones of each command as [`busy`] has it, and
//! without, which gives commands a second; the medians of several boots. Of ours alone: how long FLUSHALL of many keys takes, and
//! how long the administrative port takes while the other one is flooded.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::figure::{Figure, Goal};
use super::sample::median;
use super::subject::{Booted, Serves, Subject};
use super::{Report, busy, load};
use crate::peer::Serve;
use crate::{peer, process};

/// What both serve.
pub(crate) const SERVES: Serves = Serves { application: "keyval", linux: Serve::Redis, port: 6379 };
const ADMINISTRATION: u16 = 6380;
/// Where the client is unpacked, in the cache, and the package it comes in.
const CLIENT: (&str, [&str; 1]) = ("redis", ["redis-tools"]);
const CONNECTIONS: u32 = 50;
/// Different keys, and bytes of each value.
const KEYS: u32 = 1_000;
const VALUE: u32 = 100;
/// Commands in a run.
const COMMANDS: u32 = 40_000;
/// What is measured: the command, how many are pipelined.
const CASES: [(&str, u32); 4] = [("SET", 1), ("GET", 1), ("SET", 16), ("GET", 16)];
/// Keys that FLUSHALL removes, each with a value of 200 bytes, and the most milliseconds it may take.
const FLUSHED: u32 = 40_000;
const FLUSH_LIMIT: f64 = 500.0;
/// Round trips at the administrative port, and how many times its idle 99th percentile it may have under a flood.
const ROUND_TRIPS: usize = 2_000;
const TAIL_LIMIT: f64 = 2.0;

/// The client, unpacked.
struct Client(PathBuf);

impl Client {
    /// Gets it, by the network that this process began in.
    fn find() -> Result<Self> {
        process::outside(|| peer::unpacked(CLIENT.0, &CLIENT.1)).map(Self)
    }

    fn command(&self, server: SocketAddr, arguments: &[String]) -> Command {
        let mut command = Command::new(self.0.join("usr/bin/redis-benchmark"));
        let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        command.env("LD_LIBRARY_PATH", self.0.join(libraries));
        command.args(["-h", &server.ip().to_string(), "-p", &server.port().to_string()]);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs one case; returns commands a second.
    fn run(&self, server: SocketAddr, (name, pipeline): (&str, u32)) -> Result<f64> {
        let mut command = self.command(server, &arguments(name, pipeline));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = process::spawn_tied(command).context("redis-benchmark cannot be run")?;
        let output = child.wait_with_output().context("redis-benchmark cannot be waited for")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "redis-benchmark failed: {text}{errors}");
        parse(&text, name).with_context(|| format!("redis-benchmark printed {text}{errors}"))
    }

    /// Starts a flood that lasts until the child is killed.
    fn flood(&self, server: SocketAddr) -> Result<Child> {
        let mut arguments = arguments("SET", 16);
        arguments.extend(["-l".into()]);
        let mut command = self.command(server, &arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        process::spawn_tied(command).context("redis-benchmark cannot be run")
    }
}

/// The client's arguments, but for where the server is.
fn arguments(name: &str, pipeline: u32) -> Vec<String> {
    let test = name.to_lowercase();
    format!("-c {CONNECTIONS} -P {pipeline} -n {COMMANDS} -r {KEYS} -d {VALUE} -t {test} --csv")
        .split(' ')
        .map(str::to_owned)
        .collect()
}

/// Commands a second, in the line of a test.
fn parse(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("\"{name}\",")))?;
    line.split(',').next()?.trim_matches('"').parse().ok()
}

/// What was measured of a system: of each case, one figure a boot.
struct Series {
    name: &'static str,
    command: String,
    busy: Vec<f64>,
    rates: Vec<Vec<f64>>,
}

/// Measures the first of `subjects`, against the second if there is one.
pub(crate) fn run(subjects: &[Subject], pairs: u32, report: &mut Report) -> Result<()> {
    let client = Client::find()?;
    let mut all = Vec::new();
    for subject in subjects {
        let (busy, command) = count(&client, subject).with_context(|| subject.name())?;
        all.push(Series {
            name: subject.name(),
            command,
            busy,
            rates: vec![Vec::new(); CASES.len()],
        });
    }
    for repetition in 0..pairs {
        let mut order: Vec<usize> = (0..subjects.len()).collect();
        if repetition % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let guest = subjects[index].boot(SERVES, load::SETTINGS)?;
            for (case, rates) in CASES.into_iter().zip(&mut all[index].rates) {
                rates.push(client.run(guest.address, case)?);
            }
            drop(guest.running.kill());
        }
    }
    for (index, case) in CASES.into_iter().enumerate() {
        report.add(busy_figure(case, index, &all));
        report.add(rate_figure(case, index, &all, pairs)?);
    }
    alone(&client, &subjects[0], report)
}

/// Busy instructions of each command, and QEMU's command line.
fn count(client: &Client, subject: &Subject) -> Result<(Vec<f64>, String)> {
    let mut guest = subject.boot(SERVES, busy::SETTINGS)?;
    let mut counted = Vec::new();
    for case in CASES {
        // What happens only once is not counted.
        client.run(guest.address, case)?;
        let before = busy::next_total(&mut guest)?;
        client.run(guest.address, case)?;
        let after = busy::next_total(&mut guest)?;
        counted.push((after - before) / f64::from(COMMANDS));
    }
    Ok((counted, guest.command))
}

fn case_text((name, pipeline): (&str, u32)) -> String {
    format!("{name}, {CONNECTIONS} connections, pipeline {pipeline}")
}

fn described(figure: Figure, (name, pipeline): (&str, u32), all: &[Series]) -> Figure {
    let client = format!("redis-benchmark {}", arguments(name, pipeline).join(" "));
    let figure = figure.parameter("client", client);
    all.iter().fold(figure, |figure, series| {
        figure.parameter(&format!("{}_command", series.name), series.command.clone())
    })
}

fn busy_figure(case: (&str, u32), index: usize, all: &[Series]) -> Figure {
    let text = format!("busy, {}", case_text(case));
    let figure = Figure::new("keyval", text, all[0].busy[index], "instructions/command");
    let figure = described(figure, case, all).parameter("icount", "shift=0,sleep=on");
    match all.get(1) {
        Some(peer) => figure.against(peer.name, peer.busy[index]),
        None => figure,
    }
    .goal(Goal::RatioAtMost(1.0 / 3.0))
}

fn rate_figure(case: (&str, u32), index: usize, all: &[Series], pairs: u32) -> Result<Figure> {
    let of = |series: &Series| median(&series.rates[index]).context("nothing was measured");
    let figure = Figure::new("keyval", case_text(case), of(&all[0])?, "commands/s");
    let figure = described(figure, case, all).parameter("repetitions", pairs);
    Ok(match all.get(1) {
        Some(peer) => figure.against(peer.name, of(peer)?),
        None => figure,
    })
}

/// What is measured of ours alone.
fn alone(client: &Client, subject: &Subject, report: &mut Report) -> Result<()> {
    let guest = subject.boot(SERVES, load::SETTINGS)?;
    let flush = flush(&guest)?;
    let case = format!("FLUSHALL of {FLUSHED} keys");
    report.add(Figure::new("keyval", case, flush, "ms").goal(Goal::AtMost(FLUSH_LIMIT)));
    let administration = SocketAddr::new(guest.address.ip(), ADMINISTRATION);
    let idle = tail(administration)?;
    let mut flood = client.flood(guest.address)?;
    let flooded = tail(administration);
    let ended = flood.try_wait()?.is_some();
    flood.kill()?;
    flood.wait()?;
    ensure!(!ended, "the flood ended before it was to");
    let flooded = flooded?;
    let case = "administration, 99th percentile under a flood, of its idle one";
    let figure = Figure::new("keyval", case, flooded / idle, "times")
        .parameter("idle_us", idle)
        .parameter("flooded_us", flooded)
        .parameter("round_trips", ROUND_TRIPS)
        .goal(Goal::AtMost(TAIL_LIMIT));
    report.add(figure);
    Ok(())
}

/// Milliseconds that FLUSHALL takes.
fn flush(guest: &Booted) -> Result<f64> {
    let (mut stream, mut reader) = connect(guest.address)?;
    let value = "v".repeat(200);
    // In parts, of which each is answered: both sides would wait for the other with all of them at once.
    for first in (0..FLUSHED).step_by(100) {
        let sets = (first..first + 100)
            .map(|key| format!("*3\r\n$3\r\nSET\r\n$12\r\nkey:{key:08}\r\n$200\r\n{value}\r\n"));
        stream.write_all(sets.collect::<String>().as_bytes())?;
        for _ in 0..100 {
            expect(&mut reader, "+OK")?;
        }
    }
    let begun = Instant::now();
    stream.write_all(b"FLUSHALL\r\n")?;
    expect(&mut reader, "+OK")?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// The time in microseconds that 99 of 100 round trips do not exceed.
fn tail(server: SocketAddr) -> Result<f64> {
    let (mut stream, mut reader) = connect(server)?;
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        stream.write_all(b"PING\r\n")?;
        expect(&mut reader, "+PONG")?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUND_TRIPS * 99 / 100])
}

fn connect(server: SocketAddr) -> Result<(TcpStream, BufReader<TcpStream>)> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok((stream.try_clone()?, BufReader::new(stream)))
}

fn expect(reader: &mut BufReader<TcpStream>, answer: &str) -> Result<()> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.trim_end() == answer, "the server answered {line:?}, not {answer}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_report_is_read() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\"\n\"GET\",\"14705.88\",\"3.2\"\n";
        assert_eq!(parse(text, "GET"), Some(14705.88));
        assert_eq!(parse(text, "SET"), None);
    }

    #[test]
    fn goals_are_of_busy_instructions() {
        let series = |name, busy| Series {
            name,
            command: "qemu".into(),
            busy: vec![busy; 4],
            rates: vec![vec![1.0]; 4],
        };
        let all = [series("reflex", 10.0), series("linux", 31.0)];
        let figure = busy_figure(CASES[3], 3, &all);
        assert_eq!((figure.met, figure.peer_value), (Some(true), Some(31.0)));
        assert_eq!(figure.case, "busy, GET, 50 connections, pipeline 16");
        assert_eq!(rate_figure(CASES[0], 0, &all[..1], 1).unwrap().goal, None);
    }
}
