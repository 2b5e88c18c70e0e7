//! What was measured, told to the host.

use crate::terms::Ask;
use alloc::vec::Vec;
use reflex::{Argument, System, machine_line};

/// Time is counted in instructions.
pub(crate) const ICOUNT: Argument = Argument::flag("icount", "time is counted in instructions");

/// What was measured. Times are in nanoseconds.
pub(crate) struct Measured {
    /// Of each single operation.
    pub(crate) times: Vec<u64>,
    /// Of the stream.
    pub(crate) stream: u64,
    /// Payload of a packet.
    pub(crate) mtu: usize,
}

/// Prints the figures.
pub(crate) fn tell(ask: &Ask, measured: &Measured) {
    let mut times = measured.times.clone();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let (count, stream) = (u128::from(ask.count), u128::from(measured.stream.max(1)));
    let bytes = count * ask.length() as u128;
    let figure = |what, thousandths: u128, unit| {
        machine_line!(
            "figure rdma {}-{what} size={} count={} window={} mtu={} wait=events \
             value={}.{:03} unit={unit}",
            ask.test.name(),
            ask.length(),
            ask.count,
            ask.window,
            measured.mtu,
            thousandths / 1000,
            thousandths % 1000,
        );
    };
    figure("latency-p50", at(50).into(), "us");
    figure("latency-p99", at(99).into(), "us");
    figure("rate", count * 1_000_000_000_000 / stream, "messages/s");
    figure("bandwidth", bytes * 1_000_000 / stream, "MB/s");
}

/// Prints what each operation of a stream took of the processor, where time stamps count that.
pub(crate) fn instructions(system: System, ask: &Ask, side: &str, busy: u64) {
    if system.flag(ICOUNT) {
        machine_line!(
            "figure rdma {side}-instructions size={} count={} window={} value={} \
             unit=instructions",
            ask.length(),
            ask.count,
            ask.window,
            busy / u64::from(ask.count),
        );
    }
}
