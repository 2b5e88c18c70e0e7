//! What is declared is what is read: names, values, quantiles beside a sorted reference, the text format.

use proptest::prelude::*;
use reflex_metrics::{
    Clash, Counter, Exposition, Gauge, Histogram, Metric, Registry, Sample, Value, counters,
};

/// A histogram of the test's own: they are statics everywhere else.
fn histogram() -> &'static Histogram {
    Box::leak(Box::new(Histogram::new("sizes_bytes", "sizes")))
}

/// Values of all sizes alike, not only huge ones.
fn sizes() -> impl Strategy<Value = u64> {
    (0..64u32, any::<u64>()).prop_map(|(shift, value)| value >> shift)
}

fn exposed(registry: &Registry) -> String {
    let mut text = String::new();
    let mut exposition = Exposition::new(&mut text);
    registry.each(&mut |sample| exposition.add(sample));
    exposition.finish().unwrap();
    text
}

/// What is told, in order.
fn told(each: impl FnOnce(&mut dyn FnMut(Sample))) -> Vec<Sample> {
    let mut told = Vec::new();
    each(&mut |sample| told.push(sample));
    told
}

/// Takes so many bytes and no more.
struct Short(usize);

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(std::fmt::Error)?;
        Ok(())
    }
}

#[test]
fn a_writer_that_is_full_is_not_asked_again() {
    let registry = Registry::new([&DEPTH as &dyn Metric, &MISSED]).unwrap();
    let mut short = Short(5);
    let mut exposition = Exposition::new(&mut short);
    registry.each(&mut |sample| exposition.add(sample));
    assert_eq!(exposition.finish(), Err(std::fmt::Error));
}

proptest! {
    #[test]
    fn a_quantile_is_no_less_than_the_true_one_and_at_most_an_eighth_more(
        mut values in prop::collection::vec(sizes(), 1..400),
        permille in 1..=1000u64,
    ) {
        let histogram = histogram();
        values.iter().for_each(|value| histogram.observe(*value));
        values.sort_unstable();
        let rank = (values.len() as u64 * permille).div_ceil(1000);
        let (exact, told) = (values[rank as usize - 1], histogram.quantile(permille));
        prop_assert!(told >= exact && told - exact <= exact / 8, "{told} for {exact}");
        prop_assert_eq!(histogram.max(), values[values.len() - 1]);
        prop_assert_eq!(histogram.count(), values.len() as u64);
        prop_assert_eq!(histogram.sum(), values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value)));
    }

    /// The text's buckets are cumulative and exact at their bounds.
    #[test]
    fn the_buckets_in_the_text_count_what_is_no_greater(
        values in prop::collection::vec(sizes(), 0..200),
    ) {
        let histogram = histogram();
        values.iter().for_each(|value| histogram.observe(*value));
        let text = exposed(&Registry::new([histogram as &dyn Metric]).unwrap());
        let mut bounds = 0;
        for line in text.lines().filter(|line| line.starts_with("sizes_bytes_bucket")) {
            let (series, count) = line.rsplit_once(' ').unwrap();
            let bound = series.split('"').nth(1).unwrap();
            let bound = if bound == "+Inf" { u64::MAX } else { bound.parse().unwrap() };
            let expected = values.iter().filter(|value| **value <= bound).count();
            prop_assert_eq!(count.parse::<usize>().unwrap(), expected, "{}", line);
            bounds += 1;
        }
        let most = values.iter().max().map_or(0, |most| u64::BITS - most.leading_zeros() + 1);
        prop_assert_eq!(bounds, most + 1, "{}", text);
    }
}

#[test]
fn an_empty_histogram_is_zero_everywhere() {
    let histogram = histogram();
    let numbers = [histogram.p50(), histogram.p99(), histogram.max(), histogram.quantile(1001)];
    assert_eq!((numbers, histogram.count(), histogram.sum()), ([0; 4], 0, 0));
}

#[test]
fn many_count_at_once_and_nothing_is_lost() {
    static SEEN: Counter = Counter::new("seen_total", "seen");
    static OPEN: Gauge = Gauge::new("open", "open");
    static SIZES: Histogram = Histogram::new("sizes", "sizes");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for value in 0..10_000 {
                    SEEN.inc();
                    OPEN.inc();
                    SIZES.observe(value);
                    OPEN.dec();
                }
            });
        }
    });
    assert_eq!((SEEN.get(), OPEN.get(), SIZES.count(), SIZES.max()), (40_000, 0, 40_000, 9_999));
    assert_eq!(SIZES.sum(), 4 * (9_999 * 10_000 / 2));
}

static ANSWERED: Counter =
    Counter::new("answered_total", "answers, \"good\" or not\\").label("code", "200");
static MISSED: Counter =
    Counter::new("answered_total", "answers, \"good\" or not\\").label("code", "4\"0\\4\n");
static DEPTH: Gauge = Gauge::new("depth", "how deep\nit is");
static TOOK: Histogram = Histogram::new("took_microseconds", "time taken").label("by", "us");

#[test]
fn the_text_is_that_of_prometheus() {
    ANSWERED.add(3);
    DEPTH.set(-7);
    [0, 1, 5, 5].into_iter().for_each(|value| TOOK.observe(value));
    let declared: [&'static dyn Metric; 4] = [&TOOK, &ANSWERED, &DEPTH, &MISSED];
    let registry = Registry::new(declared).unwrap();
    let expected = concat!(
        "# HELP answered_total answers, \"good\" or not\\\\\n",
        "# TYPE answered_total counter\n",
        "answered_total{code=\"200\"} 3\n",
        "answered_total{code=\"4\\\"0\\\\4\\n\"} 0\n",
        "# HELP depth how deep\\nit is\n",
        "# TYPE depth gauge\n",
        "depth -7\n",
        "# HELP took_microseconds time taken\n",
        "# TYPE took_microseconds histogram\n",
        "took_microseconds_bucket{by=\"us\",le=\"0\"} 1\n",
        "took_microseconds_bucket{by=\"us\",le=\"1\"} 2\n",
        "took_microseconds_bucket{by=\"us\",le=\"3\"} 2\n",
        "took_microseconds_bucket{by=\"us\",le=\"7\"} 4\n",
        "took_microseconds_bucket{by=\"us\",le=\"+Inf\"} 4\n",
        "took_microseconds_sum{by=\"us\"} 11\n",
        "took_microseconds_count{by=\"us\"} 4\n",
    );
    assert_eq!(exposed(&registry), expected);
}

fn clash(declared: [&'static dyn Metric; 2]) -> String {
    Registry::new(declared).err().map_or_else(String::new, |clash: Clash| clash.to_string())
}

#[test]
fn what_cannot_be_told_apart_is_refused_and_both_are_named() {
    static ONE: Gauge = Gauge::new("heat", "degrees");
    static OTHER: Gauge = Gauge::new("heat", "degrees");
    static WARM: Gauge = Gauge::new("heat", "degrees").label("room", "hall");
    static COLD: Gauge = Gauge::new("heat", "degrees").label("room", "cellar");
    static STRANGE: Gauge = Gauge::new("heat", "how hot").label("room", "roof");
    static SHAPE: Histogram = Histogram::new("heat", "degrees").label("room", "attic");
    let twice = clash([&OTHER, &ONE]);
    let line = ONE.description().declared.line();
    let places = format!("in {0}:{line}:25 and in {0}:{1}:27", file!(), line + 1);
    assert_eq!(twice, format!("the metric heat is declared twice: {places}"));
    assert_eq!(clash([&WARM, &COLD]), "");
    let others: [&'static dyn Metric; 3] = [&ONE, &STRANGE, &SHAPE];
    for other in others {
        let told = clash([&WARM, other]);
        assert!(told.starts_with("the metric heat is declared with two kinds"), "{told}");
    }
}

counters! {
    /// What a mill has done.
    #[derive(Clone, Copy, Default)]
    pub struct Milled prefixed "reflex_mill_" {
        /// Sacks ground, of corn
        /// and of rye.
        counter sacks,
        /// Sacks that wait.
        gauge waiting,
    }
}

#[test]
fn a_structure_of_numbers_gives_a_metric_each() {
    let milled = Milled { sacks: 2, waiting: 1 };
    let told = told(|tell| milled.each(tell));
    let told: Vec<_> = told.iter().map(|it| (it.name, it.help, it.value)).collect();
    assert!(matches!(
        told[..],
        [
            ("reflex_mill_sacks_total", "Sacks ground, of corn and of rye.", Value::Counter(2)),
            ("reflex_mill_waiting", "Sacks that wait.", Value::Gauge(1)),
        ]
    ));
}
