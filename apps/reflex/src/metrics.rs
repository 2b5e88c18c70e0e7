//! Metrics: what the application counts, and what the system does.
//!
//! A metric is a `static` with [`#[reflex::metric]`](macro@crate::metric), declared once:
//!
//! ```
//! # use reflex::metrics::{Counter, Histogram};
//! # use reflex::testing::Simulation;
//! #[reflex::metric]
//! static SERVED: Counter = Counter::new("shop_served_total", "customers served");
//!
//! #[reflex::metric]
//! static WAITED: Histogram = Histogram::new("shop_waited_microseconds", "from the door to the counter");
//!
//! // In any handler:
//! SERVED.inc();
//! WAITED.observe(42);
//! # let sim = Simulation::new(|_| ()).unwrap();
//! # assert!(sim.system().metrics().to_string().contains("\nshop_served_total 1\n"));
//! ```
//!
//! Names are Prometheus', and checked when the application is compiled; those that begin with `reflex_` are the
//! system's own. Two metrics that cannot be told apart end the image at its start, with both named.
//!
//! [`System::metrics`] reads all of them, the system's among them: the kernel's (`reflex_kernel_`), and once they are
//! started those of the network (`reflex_net_`), its DHCP client (`reflex_dhcp_`) and RDMA (`reflex_rdma_`).
//! Displayed, they are Prometheus' text format. `cargo reflex run --stats` prints them.

mod kernel;
mod protocols;

pub(crate) use reflex_metrics::Registry;
pub use reflex_metrics::{
    Counter, Gauge, Histogram, Kind, Label, LabelValue, Metric, Name, Sample, Value,
};

use crate::{System, status};
use core::fmt;
use linkme::distributed_slice;
use reflex_metrics::Exposition;

/// Every metric that was declared, in the linker's order.
#[distributed_slice]
pub static METRICS: [&'static dyn Metric];

/// Ends the image when two metrics cannot be told apart.
pub(crate) fn check(system: System) {
    match Registry::new(METRICS.iter().copied()) {
        Ok(registry) => _ = system.metrics_once().call_once(|| registry),
        Err(clash) => {
            log::error!("{clash}");
            system.exit(status::MAIN_FAILED);
        }
    }
}

/// All metrics of the image; see [`System::metrics`].
#[derive(Clone, Copy)]
pub struct Metrics(System);

impl System {
    /// The metrics that were declared, and the system's own. Displayed they are Prometheus' text format, for an
    /// answer with `Content-Type: text/plain; version=0.0.4`.
    pub fn metrics(self) -> Metrics {
        Metrics(self)
    }
}

impl Metrics {
    /// Tells what each is worth now, those of a name one after the other.
    pub fn each(self, mut tell: impl FnMut(Sample)) {
        self.declared(&mut tell);
        self.own(&mut tell);
    }

    /// Tells those that were declared with [`#[reflex::metric]`](macro@crate::metric), by name.
    pub(crate) fn declared(self, tell: &mut dyn FnMut(Sample)) {
        if let Some(registry) = self.0.metrics_once().get() {
            registry.each(tell);
        }
    }

    /// Tells the system's own.
    pub(crate) fn own(self, tell: &mut dyn FnMut(Sample)) {
        kernel::each(self.0, tell);
        protocols::each(self.0, tell);
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut exposition = Exposition::new(f);
        self.each(|sample| exposition.add(sample));
        exposition.finish()
    }
}
