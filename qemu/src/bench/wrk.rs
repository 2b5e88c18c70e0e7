//! The HTTP load generator `wrk`: its command line and what it prints.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::subject::PAGE;
use crate::process;
use reflex_load::Measured;

/// Keeps `connections` connections busy with requests for [`PAGE`] for that many seconds. One
/// client thread: the emulator needs the machine's other processor.
pub(crate) fn run(address: SocketAddr, connections: u32, seconds: u32) -> Result<Measured> {
    let mut command = command(address, connections, seconds);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = process::spawn_tied(command).context("wrk cannot be run")?;
    let output = child.wait_with_output().context("wrk cannot be waited for")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "wrk failed ({}): {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&text).with_context(|| format!("wrk printed something unexpected:\n{text}"))
}

/// The command as a person would type it.
pub(crate) fn text(address: SocketAddr, connections: u32, seconds: u32) -> String {
    let command = command(address, connections, seconds);
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    format!("wrk {}", arguments.collect::<Vec<_>>().join(" "))
}

fn command(address: SocketAddr, connections: u32, seconds: u32) -> Command {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--latency"]);
    command.arg("--connections").arg(connections.to_string());
    command.arg("--duration").arg(format!("{seconds}s"));
    command.arg(format!("http://{address}{PAGE}"));
    command
}

/// Reads wrk's report. Socket errors and responses other than 2xx and 3xx are failures.
fn parse(text: &str) -> Option<Measured> {
    let after =
        |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key).map(str::trim));
    let requests = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ").map(|(count, _)| count))?;
    let mut failures = 0;
    if let Some(errors) = after("Socket errors:") {
        // "connect 0, read 6, write 0, timeout 49"
        for kind in errors.split(',') {
            failures += kind.split_whitespace().last()?.parse::<u64>().ok()?;
        }
    }
    if let Some(count) = after("Non-2xx or 3xx responses:") {
        failures += count.parse::<u64>().ok()?;
    }
    Some(Measured {
        per_second: after("Requests/sec:")?.parse().ok()?,
        operations: requests.parse().ok()?,
        failures,
        median_us: microseconds(after("50%")?)?,
        // The first of "Avg Stdev Max +/- Stdev".
        mean_us: microseconds(after("Latency  ")?.split_whitespace().next()?)?,
        percentile_99_us: microseconds(after("99%")?)?,
    })
}

/// A duration of wrk's, such as `421.00us`, `9.71ms`, `1.05s` or `1.00m`, in microseconds.
fn microseconds(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..split].parse().ok()?;
    let unit = match &text[split..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return None,
    };
    Some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "\
Running 4s test @ http://10.77.9.2/
  1 threads and 100 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    37.94ms    4.60ms  76.88ms   80.74%
    Req/Sec     2.63k   261.82     3.03k    75.00%
  Latency Distribution
     50%   36.85ms
     75%   38.16ms
     90%   45.49ms
     99%   53.35ms
  10483 requests in 4.00s, 3.58MB read
Requests/sec:   2619.77
Transfer/sec:      0.89MB
";

    #[test]
    fn a_clean_report_is_read() {
        let measured = parse(CLEAN).unwrap();
        assert_eq!(measured.per_second, 2619.77);
        assert_eq!(measured.operations, 10483);
        assert_eq!(measured.failures, 0);
        assert_eq!(measured.mean_us, 37940.0);
        assert_eq!((measured.median_us, measured.percentile_99_us), (36850.0, 53350.0));
    }

    #[test]
    fn errors_of_all_kinds_count() {
        let text = CLEAN.replace(
            "Requests/sec",
            "  Socket errors: connect 1, read 2, write 3, timeout 40\n  \
             Non-2xx or 3xx responses: 500\nRequests/sec",
        );
        assert_eq!(parse(&text).unwrap().failures, 546);
    }

    #[test]
    fn a_truncated_report_is_no_report() {
        let cut = CLEAN.find("Requests/sec").unwrap();
        assert_eq!(parse(&CLEAN[..cut]), None);
        assert_eq!(parse("unable to connect to 10.77.0.2:80 Connection refused\n"), None);
    }

    #[test]
    fn durations_of_every_unit() {
        let cases = [("421.00us", 421.0), ("1.05s", 1.05e6), ("1.50m", 90e6), ("2.00h", 7200e6)];
        for (text, expected) in cases {
            assert_eq!(microseconds(text), Some(expected));
        }
        assert_eq!(microseconds("12"), None);
        assert_eq!(microseconds("12 parsecs"), None);
    }

    #[test]
    fn the_command_names_its_parameters() {
        let text = text("10.77.0.2:80".parse().unwrap(), 100, 5);
        assert!(
            text.ends_with("--connections 100 --duration 5s http://10.77.0.2:80/small.txt"),
            "{text}"
        );
    }
}
