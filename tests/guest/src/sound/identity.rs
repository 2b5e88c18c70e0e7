//! A name, an index or an address that is used again never stands for what it stood for before.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::{Accumulation, Error, EventError, Kernel, Priority, Registration, System};

const EACH: Registration =
    Registration { priority: Priority::DEFAULT, accumulation: Accumulation::Each };

/// A place in the table of registrations serves one after the other; the name of one that has ended
/// reaches none of those that come later.
#[reflex::test]
fn the_name_of_an_ended_registration_reaches_nobody(system: System) -> Result<(), Error> {
    static CALLED: AtomicU32 = AtomicU32::new(0);
    let kernel = system.kernel();
    let context = system.context("places", ()).build()?;
    let first = kernel.register(context.handle(), EACH, |(), _| {})?;
    kernel.unregister(first)?;
    for life in 0..1000 {
        let event = kernel.register(context.handle(), EACH, |(), _| {
            CALLED.fetch_add(1, Relaxed);
        })?;
        assert_eq!(kernel.activate(first, 1), Err(EventError::Stale), "in life {life}");
        assert_eq!(kernel.unregister(first), Err(EventError::Stale), "in life {life}");
        kernel.unregister(event)?;
    }
    assert_eq!(CALLED.load(Relaxed), 0);
    Ok(())
}
