//! Load generators: no request fails, no socket errs.

use crate::guest::{Guest, machine, tap, user};
use crate::http::assert_serves;
use crate::tools::{figure, run, times};
use reflex_qemu::machine::{Model, Network};
use reflex_qemu::protocol::Protocol;
use std::net::SocketAddr;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(150);
/// Seconds that a client waits for a reply: one that takes long on a busy machine is no error.
const PATIENT: &str = "120";

fn ab(server: SocketAddr, requests: u64, connections: u64) {
    let (number, clients) = (requests.to_string(), connections.to_string());
    let url = format!("http://{server}/");
    let report =
        run("ab", &["-q", "-k", "-s", PATIENT, "-n", &number, "-c", &clients, &url], LIMIT);
    assert_eq!(figure(&report, "Complete requests:"), Some(requests), "{report}");
    assert_eq!(figure(&report, "Failed requests:"), Some(0), "{report}");
    assert_eq!(figure(&report, "Keep-Alive requests:"), Some(requests), "{report}");
    assert_eq!(figure(&report, "Non-2xx responses:"), None, "{report}");
    assert_eq!(figure(&report, "Write errors:"), None, "{report}");
}

fn wrk(server: SocketAddr, connections: u64, seconds: u64) {
    let (clients, time) = (connections.to_string(), format!("{seconds}s"));
    let url = format!("http://{server}/");
    let patience = format!("{PATIENT}s");
    let report =
        run("wrk", &["-t", "2", "-c", &clients, "-d", &time, "--timeout", &patience, &url], LIMIT);
    assert!(!report.contains("Socket errors"), "{report}");
    assert!(!report.contains("Non-2xx"), "{report}");
    let requests = report.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests = requests.and_then(|(number, _)| number.parse::<u64>().ok());
    assert!(requests.is_some_and(|requests| requests >= connections), "{report}");
}

#[test]
fn fifty_connections_over_user_networking() {
    for model in [Model::Q35, Model::Microvm] {
        let machine = machine("httpd").model(model).network(user(&[(Protocol::Tcp, 80)]));
        let mut guest = Guest::start_alone(machine);
        ab(guest.endpoint(Protocol::Tcp, 80), 5_000, 50);
        guest.stop();
    }
}

#[test]
fn two_hundred_and_a_thousand_connections_over_a_tap() {
    let Some(tap) = tap() else { return };
    let mut guest = Guest::start_alone(machine("httpd").network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 80);
    ab(server, 20_000, 200);
    wrk(server, 1_000, 10);
    assert_serves(server);
    guest.stop();
}

/// Every request on a connection of its own: accepting and closing, again and again.
#[test]
fn many_short_connections_over_a_tap() {
    let Some(tap) = tap() else { return };
    let mut guest = Guest::start(machine("httpd").network(Network::Tap(tap)));
    let server = guest.endpoint(Protocol::Tcp, 80);
    let url = format!("http://{server}/");
    let count = times(5_000, 200_000);
    let number = count.to_string();
    let limit = LIMIT + Duration::from_millis(5 * count);
    let report = run("ab", &["-q", "-s", PATIENT, "-n", &number, "-c", "20", &url], limit);
    assert_eq!(figure(&report, "Complete requests:"), Some(count), "{report}");
    assert_eq!(figure(&report, "Failed requests:"), Some(0), "{report}");
    guest.stop();
}
