//! `memory`: the smallest memory with which the web server still serves 16 connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Report;
use super::figure::{Figure, Goal};
use super::subject::{self, Service, Settings, Subject};
use crate::machine::{Forward, MachineError, Model, Network};
use crate::protocol::Protocol;

const CONNECTIONS: usize = 16;
/// Requests on each connection while all are open.
const ROUNDS: usize = 2;
/// Memory with which everyone must serve, in MiB: where the search starts.
const LARGEST: u32 = 512;
const GOAL: f64 = 4.0;
/// Longer than any of the subjects takes from its start to its last reply.
const LIMIT: Duration = Duration::from_secs(20);

/// Searches for the first of `subjects`, against the second if there is one.
pub(crate) fn run(subjects: &[Subject], report: &mut Report) -> Result<()> {
    let mut found = Vec::new();
    for subject in subjects {
        let smallest = smallest(LARGEST, |memory_mib| {
            let served = serves(subject, memory_mib)?;
            eprintln!(
                "  memory {}: {memory_mib} MiB {}",
                subject.name(),
                if served { "serve" } else { "do not serve" }
            );
            Ok(served)
        })
        .with_context(|| format!("smallest memory of {}", subject.name()))?;
        found.push(smallest);
    }
    let machine = subjects[0].machine(Service::Http, settings(found[0]));
    let mut figure =
        Figure::new("memory", format!("{CONNECTIONS} connections"), found[0].into(), "MiB")
            .parameter("connections", CONNECTIONS)
            .parameter("requests_each", ROUNDS)
            .parameter(&format!("{}_command", subjects[0].name()), subject::command(&machine));
    if let (Some(peer), Some(&theirs)) = (subjects.get(1), found.get(1)) {
        figure = figure.against(peer.name(), theirs.into());
    }
    report.add(figure.goal(Goal::AtMost(GOAL)));
    Ok(())
}

fn settings(memory_mib: u32) -> Settings {
    Settings { model: Model::Q35, memory_mib, append: "connections=16 log=error", icount: None }
}

/// The smallest number of MiB up to `largest` for which `serves`, by bisection.
fn smallest(largest: u32, mut serves: impl FnMut(u32) -> Result<bool>) -> Result<u32> {
    ensure!(serves(largest)?, "{largest} MiB are not enough");
    let (mut fails, mut works) = (0, largest);
    while works - fails > 1 {
        let middle = fails + (works - fails) / 2;
        if serves(middle)? {
            works = middle;
        } else {
            fails = middle;
        }
    }
    Ok(works)
}

/// Whether the guest boots and answers every request. Not coming up, in whatever way, is a no;
/// an error is what is not the guest's doing.
fn serves(subject: &Subject, memory_mib: u32) -> Result<bool> {
    let forward = Forward::free(Protocol::Tcp, 80);
    let machine = subject
        .machine(Service::Http, settings(memory_mib))
        .network(Network::User(vec![forward]))
        .append("ip=10.0.2.15/24 gw=10.0.2.2");
    let mut running = machine.spawn()?;
    match running.wait_for_listen(Protocol::Tcp, 80, LIMIT) {
        Ok(()) => {}
        Err(MachineError::Ended { .. } | MachineError::WaitedTooLong { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let served = all_answered(forward.host_address().into());
    drop(running);
    Ok(served.is_ok())
}

/// Keeps all connections open and asks on each in turn.
fn all_answered(address: SocketAddr) -> Result<()> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        connections.push(BufReader::new(stream));
        // One at a time: the forwarding side's own backlog is 1.
        ask(connections.last_mut().context("just pushed")?)?;
    }
    for _ in 1..ROUNDS {
        for connection in &mut connections {
            ask(connection)?;
        }
    }
    Ok(())
}

/// One request and its complete answer.
fn ask(connection: &mut BufReader<TcpStream>) -> Result<()> {
    connection.get_mut().write_all(b"GET /small.txt HTTP/1.1\r\nHost: guest\r\n\r\n")?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    ensure!(line.starts_with("HTTP/1.1 200 "), "answered {line:?}");
    let mut length = None;
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            bail!("closed within the header");
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    let mut body = vec![0; length.context("no Content-Length")?];
    connection.read_exact(&mut body)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::TcpListener;
    use std::thread;

    proptest! {
        #[test]
        fn bisection_finds_the_edge(edge in 1u32..=512) {
            let mut asked = 0;
            let found = smallest(512, |memory| {
                asked += 1;
                Ok(memory >= edge)
            });
            prop_assert_eq!(found.unwrap(), edge);
            prop_assert!(asked <= 11);
        }
    }

    #[test]
    fn too_little_for_anyone_is_an_error() {
        assert!(smallest(512, |_| Ok(false)).is_err());
        assert!(smallest(512, |_| bail!("no emulator")).is_err());
    }

    /// Answers every request on every connection with these bytes.
    fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut writer = stream.try_clone().unwrap();
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        if line.is_empty() && writer.write_all(answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    #[test]
    fn complete_answers_on_all_connections_are_required() {
        let good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert!(all_answered(server(good)).is_ok());
        assert!(all_answered(server(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")).is_err());
        assert!(all_answered(server(b"HTTP/1.1 200 OK\r\n\r\n")).is_err());
    }
}
