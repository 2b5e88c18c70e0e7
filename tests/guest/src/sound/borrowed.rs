//! What the library OS lends to a handler stays as it is when that is given up: it has left pointers to it,
//! and its destructors, which would have taken them back, never run.
//!
//! Datagrams come from the emulator's user network, which answers at port 69 of 10.0.2.2 (TFTP) that it has
//! no file of that name; and other frames from port 1 there, where connections are refused.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use lent::lend;
use reflex::net::{
    Connection, ConnectionError, Connector, Datagram, TcpService, UdpService, UdpSocket,
};
use reflex::{Error, OnFailure, Reuse, Setup, SignalMode, System};

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 69);
const NOBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 1);
const REQUEST: &[u8] = b"\0\x01no such file\0octet\0";
const SOON: Duration = Duration::from_millis(1);
/// Lives of a context that is given up with a datagram in hand.
const LIVES: u32 = 12;
/// Other frames that come in between: more than the interface has buffers, so that each is used again that
/// may be.
const BETWEEN: u32 = 300;

/// What a third party's crate may do: it lends bytes for the time of a call, and takes them back in a
/// destructor. Its interface is safe, and sound as long as nothing is written over what a call has
/// borrowed that never ends.
mod lent {
    use core::ptr::{null_mut, slice_from_raw_parts};
    use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};
    use reflex::System;

    /// Where bytes are that are lent, how many, and what their sum is.
    struct Place(AtomicPtr<u8>, AtomicUsize, AtomicU64);

    static PLACES: [Place; 64] =
        [const { Place(AtomicPtr::new(null_mut()), AtomicUsize::new(0), AtomicU64::new(0)) }; 64];

    struct Loan(&'static Place);

    impl Drop for Loan {
        fn drop(&mut self) {
            self.0.0.store(null_mut(), Relaxed);
        }
    }

    /// Fowler, Noll and Vo's.
    fn sum(bytes: &[u8]) -> u64 {
        let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
    }

    /// Lends bytes to everybody for the time of `work`.
    pub(super) fn lend<R>(bytes: &[u8], work: impl FnOnce() -> R) -> R {
        let place = PLACES.iter().find(|place| place.0.load(Relaxed).is_null());
        let place = place.expect("there is a place");
        place.1.store(bytes.len(), Relaxed);
        place.2.store(sum(bytes), Relaxed);
        place.0.store(bytes.as_ptr().cast_mut(), Relaxed);
        let _loan = Loan(place);
        work()
    }

    /// How much is lent, and how much of it has changed since.
    pub(super) fn look(system: System) -> (u32, u32) {
        system.section(|| {
            let lent = PLACES.iter().filter(|place| !place.0.load(Relaxed).is_null());
            lent.fold((0, 0), |(lent, changed), place| {
                let bytes = slice_from_raw_parts(place.0.load(Relaxed), place.1.load(Relaxed));
                // SAFETY: they are borrowed until the call returns that has lent them, which drops its
                // loan before: not in this section.
                let same = sum(unsafe { &*bytes }) == place.2.load(Relaxed);
                (lent + 1, changed + u32::from(!same))
            })
        })
    }
}

/// Fails with each datagram in hand, which it lends if that is what it is for.
struct Reader {
    lends: bool,
    _socket: UdpSocket,
}

impl UdpService for Reader {
    fn datagram(&mut self, _: &UdpSocket, datagram: Datagram<'_>) {
        let fail = || panic!("with a datagram in hand");
        if self.lends {
            lend(datagram.payload, fail);
        } else {
            fail();
        }
    }
}

/// Counts connections that were refused, and asks for the next, up to a round number of them.
struct Between {
    connector: Option<Connector>,
    refused: &'static AtomicU32,
}

impl TcpService for Between {
    fn received(&mut self, _: &Connection) {}

    fn failed(&mut self, _: &Connection, _: ConnectionError) {
        let refused = self.refused.fetch_add(1, Relaxed) + 1;
        if let Some(connector) =
            self.connector.as_ref().filter(|_| !refused.is_multiple_of(BETWEEN))
        {
            connector.connect(NOBODY).expect("places are recycled");
        }
    }
}

/// Has a context fail with a datagram in hand, life after life, and many other frames come in between; `check` is
/// called after each.
fn die(
    system: System,
    (name, port): (&'static str, u16),
    reuse: Option<Reuse>,
    refused: &'static AtomicU32,
    check: impl Fn(u32),
) -> Result<(), Error> {
    let net = system.net()?;
    while net.address().is_none() {}
    let context = system.context_with(name, move |setup: Setup<'_, Reader>| {
        let socket = system.udp(port).serve(setup.context())?;
        socket.send_to(REQUEST, SERVER)?;
        Ok::<_, Error>(Reader { lends: reuse.is_none(), _socket: socket })
    });
    let context = context.on_failure(OnFailure::Ignore).backoff(SOON, SOON);
    let context = match reuse {
        Some(reuse) => context.after_failure(reuse),
        None => context,
    };
    let context = context.build()?;
    let between = system.context("between", Between { connector: None, refused }).build()?;
    let connector = system.connector().connections(2).serve(between)?;
    let next =
        system.signal(SignalMode::Counter).on(between, move |between: &mut Between, _| {
            connector.connect(NOBODY).expect("an attempt");
            between.connector = Some(connector.clone());
        })?;
    for life in 1..=LIVES {
        if life > 1 {
            system.restart(context.id())?;
        }
        while system.stopped(context.id()).map_or(0, |stopped| stopped.failures) < life {}
        next.fire()?;
        while refused.load(Relaxed) < life * BETWEEN {}
        check(life);
    }
    Ok(())
}

/// A datagram's buffer is not used again, however many frames come; it is counted, and another takes its
/// place.
#[reflex::test(group = "quarantine")]
fn datagrams_in_the_hands_of_the_dead_stay_as_they_are(system: System) -> Result<(), Error> {
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    let (before, memory) = (system.quarantine(), system.available_memory());
    die(system, ("lends datagrams", 4000), None, &REFUSED, |life| {
        let (lent, changed) = lent::look(system);
        assert_eq!((lent, changed), (life, 0), "memory that is pointed to was used again");
        let bytes = system.quarantine().bytes - before.bytes;
        assert!(bytes > u64::from(life) * 2048, "{bytes} with the buffers");
    })?;
    assert!(system.available_memory() < memory);
    Ok(())
}

/// Nothing of that is lost where the context's memory is used again at once.
#[reflex::test(group = "quarantine")]
fn datagrams_are_used_again_where_that_was_said(system: System) -> Result<(), Error> {
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    let before = system.quarantine();
    // SAFETY: nothing is pointed to in there: the handler fails without having called anything.
    let reuse = unsafe { Reuse::at_once() };
    die(system, ("drops datagrams", 4002), Some(reuse), &REFUSED, |_| {
        assert_eq!(system.quarantine(), before);
    })
}
