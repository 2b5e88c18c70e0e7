//! What INFO says.

use crate::counters::Shared;
use core::fmt::{self, Write};

/// What is known of the context beside its counters.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Bytes of its memory that are used.
    pub used: usize,
    /// All bytes of its memory.
    pub capacity: usize,
    /// Seconds since it began.
    pub uptime: u64,
}

/// What can be asked for by name.
const SECTIONS: [&str; 5] = ["server", "clients", "memory", "stats", "keyspace"];

/// Writes the section of a name, or all of them without one.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(
    out: &mut dyn Write,
    shared: &Shared,
    facts: Facts,
    section: Option<&[u8]>,
) -> fmt::Result {
    let all = section.is_none_or(|asked| {
        ["all", "default", "everything"]
            .iter()
            .any(|all| asked.eq_ignore_ascii_case(all.as_bytes()))
    });
    for name in SECTIONS {
        if all || section.is_some_and(|asked| asked.eq_ignore_ascii_case(name.as_bytes())) {
            lines(out, name, shared, facts)?;
        }
    }
    Ok(())
}

fn lines(out: &mut dyn Write, name: &str, shared: &Shared, facts: Facts) -> fmt::Result {
    let (counters, limits) = (&shared.counters, &shared.limits);
    match name {
        "server" => {
            let version = env!("CARGO_PKG_VERSION");
            write!(out, "# Server\r\nserver_name:keyval\r\nkeyval_version:{version}\r\n")?;
            // Clients look here for what they may ask.
            write!(out, "redis_version:7.0.0\r\nredis_mode:standalone\r\n")?;
            write!(out, "uptime_in_seconds:{}\r\n", facts.uptime)
        }
        "clients" => write!(out, "# Clients\r\nconnected_clients:{}\r\n", counters.clients.get()),
        "memory" => {
            let Facts { used, capacity, .. } = facts;
            write!(out, "# Memory\r\nused_memory:{used}\r\ntotal_memory:{capacity}\r\n")?;
            let (most, policy) = (limits.memory(), limits.policy().name());
            write!(out, "maxmemory:{most}\r\nmaxmemory_policy:{policy}\r\n")
        }
        "stats" => {
            out.write_str("# Stats\r\n")?;
            let mut totals = totals(shared).into_iter();
            totals.try_for_each(|(name, _, number)| write!(out, "{name}:{number}\r\n"))
        }
        _ => {
            let (keys, expiring) = (counters.keys.get(), counters.expiring.get());
            out.write_str("# Keyspace\r\n")?;
            if keys > 0 {
                write!(out, "db0:keys={keys},expires={expiring},avg_ttl=0\r\n")?;
            }
            Ok(())
        }
    }
}

/// What is counted since the start, by the names that INFO and metrics have for it.
fn totals(shared: &Shared) -> [(&'static str, &'static str, u64); 12] {
    let counters = &shared.counters;
    [
        ("total_connections_received", "connections", counters.connections.get()),
        ("total_commands_processed", "commands", counters.commands.get()),
        ("total_error_replies", "errors", counters.failures.get()),
        ("total_net_input_bytes", "received_bytes", counters.received.get()),
        ("total_net_output_bytes", "sent_bytes", counters.sent.get()),
        ("keyspace_hits", "hits", counters.hits.get()),
        ("keyspace_misses", "misses", counters.misses.get()),
        ("expired_keys", "expired", counters.expired.get()),
        ("evicted_keys", "evicted", counters.evicted.get()),
        ("protocol_errors", "protocol_errors", counters.protocol_errors.get()),
        ("refused_for_memory", "refused", counters.refused.get()),
        ("untimed_deadlines", "untimed", counters.untimed.get()),
    ]
}

/// Writes what is counted as Prometheus reads it.
///
/// # Errors
/// Those of `out`.
pub(crate) fn metrics(out: &mut dyn Write, shared: &Shared, facts: Facts) -> fmt::Result {
    let counters = &shared.counters;
    let now = [
        ("keys", counters.keys.get()),
        ("expiring_keys", counters.expiring.get()),
        ("clients", counters.clients.get()),
        ("used_bytes", facts.used as u64),
        ("limit_bytes", shared.limits.memory() as u64),
        ("uptime_seconds", facts.uptime),
    ];
    for (name, number) in now {
        writeln!(out, "keyval_{name} {number}")?;
    }
    for (_, name, number) in totals(shared) {
        writeln!(out, "keyval_{name}_total {number}")?;
    }
    Ok(())
}

impl Facts {
    /// Writes the same to a datagram; returns how long it is. What does not fit is left out, whole lines of it.
    pub(crate) fn datagram(self, shared: &Shared, datagram: &mut [u8]) -> usize {
        let mut lines = Lines { datagram, length: 0, open: true, line: 0 };
        // It refuses nothing.
        let _ = metrics(&mut lines, shared, self);
        lines.length
    }
}

/// Whole lines, as many as fit.
struct Lines<'a> {
    datagram: &'a mut [u8],
    /// Bytes of whole lines.
    length: usize,
    /// Bytes of these and of the line that is written.
    line: usize,
    open: bool,
}

impl Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.datagram.get_mut(self.line..self.line + text.len());
        self.open &= place.is_some();
        if let Some(place) = place.filter(|_| self.open) {
            place.copy_from_slice(text.as_bytes());
            self.line += text.len();
            if text.ends_with('\n') {
                self.length = self.line;
            }
        }
        Ok(())
    }
}
