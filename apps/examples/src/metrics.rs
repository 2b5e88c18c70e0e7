//! Metrics: what was asked for, and how often; on http://127.0.0.1:2005/ as Prometheus reads them.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use reflex::metrics::{Counter, Gauge, Histogram};
use reflex::net::ConnectionError;
use reflex::prelude::*;

#[reflex::metric]
static REQUESTS: Counter = Counter::new("example_requests_total", "requests answered");
#[reflex::metric]
static OPEN: Gauge = Gauge::new("example_connections", "connections that are open");
#[reflex::metric]
static BYTES: Histogram = Histogram::new("example_request_bytes", "lengths of requests");

struct Exporter {
    system: System,
}

#[reflex::main]
fn main(system: System) -> Result {
    let exporter = system.context("exporter", Exporter { system }).build()?;
    system.tcp(2005).connections(4).queue(32 << 10).serve(exporter)?;
    Ok(())
}

impl TcpService for Exporter {
    fn accepted(&mut self, _: &Connection) {
        OPEN.inc();
    }

    /// Any request is answered by all there is. What is left unread comes again, with more behind it.
    fn received(&mut self, connection: &Connection) {
        let whole = |bytes: &[u8]| if bytes.ends_with(b"\r\n\r\n") { bytes.len() } else { 0 };
        let Ok(length @ 1..) = connection.receive(whole) else { return };
        REQUESTS.inc();
        BYTES.observe(length as u64);
        let text = self.system.metrics();
        let head = "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n";
        connection.write(format!("{head}{text}").as_bytes());
        connection.finish();
    }

    fn ended(&mut self, _: &Connection) {
        OPEN.dec();
    }

    fn failed(&mut self, _: &Connection, _: ConnectionError) {
        OPEN.dec();
    }
}
