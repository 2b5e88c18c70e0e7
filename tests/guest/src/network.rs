//! Handlers that frames of a real network interface call.
//!
//! The network is the emulator's user network: 10.0.2.2 is its gateway, behind which nobody
//! listens on port 1.

use core::hint::spin_loop;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use reflex::net::{Connection, ConnectionError, Connector, TcpService};
use reflex::{Error, Priority, SignalMode, System};

const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 1);

/// Starts the network and waits for its address: `main` may, as everything else runs over it.
fn configured(system: System) -> Result<(), Error> {
    let net = system.net()?;
    while net.address().is_none() {
        spin_loop();
    }
    Ok(())
}

/// Sets a flag when the connection has failed.
struct Caller(&'static AtomicBool);

impl TcpService for Caller {
    fn received(&mut self, _: &Connection) {}

    fn failed(&mut self, _: &Connection, error: ConnectionError) {
        assert_eq!(error, ConnectionError::Refused);
        self.0.store(true, Relaxed);
    }
}

/// A low handler connects to a closed port and spins. Only the answer's interrupt can end it: by
/// way of the receive job, the stack and a handler, each preempting the one that spins.
#[reflex::test]
fn a_spinning_handler_is_ended_by_one_that_a_frame_calls(system: System) -> Result<(), Error> {
    static DONE: AtomicBool = AtomicBool::new(false);
    configured(system)?;
    let caller = system.context("caller", Caller(&DONE)).build()?;
    let connector = system.connector().priority(Priority::HIGH).serve(caller)?;
    let spinner = system.context("spinner", connector).priority(Priority::LOW).build()?;
    let spin = system.signal(SignalMode::Counter).on(spinner, |connector: &mut Connector, _| {
        connector.connect(NOBODY).expect("an attempt");
        while !DONE.load(Relaxed) {
            spin_loop();
        }
    })?;
    spin.fire()?;
    assert!(DONE.load(Relaxed));
    Ok(())
}

/// As a timer's: and one that is said holds.
#[reflex::test]
fn a_connection_has_its_contexts_priority_unless_said(system: System) -> Result<(), Error> {
    static DONE: AtomicBool = AtomicBool::new(false);
    configured(system)?;
    let caller = system.context("caller", Caller(&DONE)).priority(Priority::HIGH).build()?;
    let usual = system.connector().serve(caller)?;
    let said = system.connector().priority(Priority::LOW).serve(caller)?;
    for (connector, expected) in [(usual, Priority::HIGH), (said, Priority::LOW)] {
        // The refusal does not come in between.
        let priority = system.section(|| connector.connect(NOBODY).map(|it| it.priority()));
        assert_eq!(priority, Ok(Ok(expected)));
    }
    Ok(())
}

/// As the first, with connections that are refused one after the other, each opened by the handler
/// that was told of the last one's end.
#[reflex::test]
fn a_handler_goes_on_where_the_last_frame_left_off(system: System) -> Result<(), Error> {
    static FAILED: AtomicU32 = AtomicU32::new(0);
    const ATTEMPTS: u32 = 50;
    struct Again {
        connector: Option<Connector>,
    }
    impl TcpService for Again {
        fn received(&mut self, _: &Connection) {}

        fn failed(&mut self, _: &Connection, _: ConnectionError) {
            if FAILED.fetch_add(1, Relaxed) + 1 < ATTEMPTS {
                let connector = self.connector.as_ref().expect("set first");
                connector.connect(NOBODY).expect("places are recycled");
            }
        }
    }
    configured(system)?;
    let again = system.context("again", Again { connector: None }).build()?;
    // The one that failed keeps its place until its handler has returned.
    let connector = system.connector().connections(2).priority(Priority::HIGH).serve(again)?;
    let start = system.signal(SignalMode::Counter).on(again, move |again: &mut Again, _| {
        connector.connect(NOBODY).expect("an attempt");
        again.connector = Some(connector.clone());
    })?;
    start.fire()?;
    while FAILED.load(Relaxed) < ATTEMPTS {
        spin_loop();
    }
    Ok(())
}
