//! What the source counts, and where that can be read.

use alloc::string::ToString;
use reflex::http::{Reply, Request};
use reflex::metrics::{Counter, Gauge};
use reflex::{Context, Error, System};

#[reflex::metric]
pub(crate) static PUBLISHED: Counter =
    Counter::new("netio_published_total", "Messages that were published.");

#[reflex::metric]
pub(crate) static HELD_UP: Counter =
    Counter::new("netio_held_up_total", "Times that a subscriber had no room.");

#[reflex::metric]
pub(crate) static DROPPED: Counter =
    Counter::new("netio_dropped_total", "Messages that slow subscribers were not sent.");

#[reflex::metric]
pub(crate) static SUBSCRIBERS: Gauge =
    Gauge::new("netio_subscribers", "Subscribers that are connected.");

/// Serves them.
pub(crate) fn serve<S: 'static>(
    system: System,
    context: Context<S>,
    port: u16,
) -> Result<(), Error> {
    let show = move |_: &mut S, _: &Request<'_>| {
        Reply::ok().body("text/plain; version=0.0.4", system.metrics().to_string())
    };
    system.http(port).connections(2).get("/metrics", context, show).serve()?;
    Ok(())
}
