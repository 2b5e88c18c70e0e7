//! The table: the columns of perftest's programs, and the results that two sides tell each other.

use super::options::Options;
use core::fmt;

/// What a bandwidth test has measured. Times are in nanoseconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bandwidth {
    /// Operations, and what all of them took.
    pub(crate) count: u64,
    pub(crate) time: u64,
    /// So many of them one after the other took no longer than that.
    pub(crate) window: u64,
    pub(crate) shortest: u64,
}

/// A number with so many decimals.
struct Decimal(u128, u32);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(scaled, decimals) = *self;
        let unit = 10_u128.pow(decimals);
        let width = f.width().unwrap_or(0).saturating_sub(decimals as usize + 1);
        write!(
            f,
            "{:<width$}.{:0places$}",
            scaled / unit,
            scaled % unit,
            places = decimals as usize
        )
    }
}

/// Prints what single operations took, in nanoseconds; each of them, if there are any.
pub(crate) fn latency(options: &Options, times: &mut [u64]) {
    if times.is_empty() {
        return;
    }
    times.sort_unstable();
    let count = times.len() as u64;
    let micros = |nanos: u64| Decimal(u128::from(nanos) / 10, 2);
    let at =
        |thousandth: usize| micros(times[(times.len() * thousandth / 1000).min(times.len() - 1)]);
    let average = times.iter().sum::<u64>() / count;
    let squares = times.iter().map(|time| u128::from(time.abs_diff(average)).pow(2)).sum::<u128>();
    let deviation = (squares / u128::from(count)).isqrt() as u64;
    reflex::println!(
        " #bytes #iterations t_min[usec] t_max[usec] t_typical[usec] t_avg[usec] t_stdev[usec] \
         99% percentile[usec] 99.9% percentile[usec]"
    );
    reflex::println!(
        " {} {} {} {} {} {} {} {} {}",
        options.size,
        options.count,
        micros(times[0]),
        micros(times[times.len() - 1]),
        at(500),
        micros(average),
        micros(deviation),
        at(990),
        at(999)
    );
}

impl Bandwidth {
    /// Bytes a second in the table's unit, in hundredths.
    fn rate(options: &Options, count: u64, time: u64) -> u128 {
        let bytes = u128::from(count) * options.size as u128 * 1_000_000_000;
        let second = bytes / u128::from(time.max(1));
        if options.gbits { second * 800 / 1_000_000_000 } else { (second * 100) >> 20 }
    }

    /// Millions of operations a second, in millionths.
    fn operations(&self) -> u128 {
        u128::from(self.count) * 1_000_000_000 / u128::from(self.time.max(1))
    }

    /// Prints it.
    pub(crate) fn print(&self, options: &Options) {
        let unit = if options.gbits { "Gb/sec" } else { "MB/sec" };
        reflex::println!(" #bytes #iterations BW peak[{unit}] BW average[{unit}] MsgRate[Mpps]");
        reflex::println!(
            " {} {} {} {} {}",
            options.size,
            options.count,
            Decimal(Self::rate(options, self.window, self.shortest), 2),
            Decimal(Self::rate(options, self.count, self.time), 2),
            Decimal(self.operations(), 6)
        );
    }

    /// As it is told the other side: two numbers, and three as doubles.
    pub(crate) fn results(&self, options: &Options) -> [[u8; 8]; 5] {
        let hundredths = |rate: u128| (rate as f64 / 100.0).to_bits();
        [
            options.size as u64,
            options.count,
            hundredths(Self::rate(options, self.window, self.shortest)),
            hundredths(Self::rate(options, self.count, self.time)),
            (self.operations() as f64 / 1e6).to_bits(),
        ]
        .map(u64::to_be_bytes)
    }
}
