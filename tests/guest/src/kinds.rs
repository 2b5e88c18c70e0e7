//! The kinds of events there are, behind one trait (A-3.1.2, A-3.6.3, K-7, K-9).

use alloc::vec::Vec;
use core::hint::spin_loop;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use reflex::kind::{Console, Kind, Memory, Monitor, SharedSignal, Watermarks};
use reflex::net::{Datagram, UdpService, UdpSocket};
use reflex::{Acknowledge, Error, EventError, Job, Priority, SignalMode, System, Vector};

/// Waits until a condition holds; the host ends a machine in which it never does.
pub(crate) fn wait(condition: impl Fn() -> bool) {
    while !condition() {
        spin_loop();
    }
}

/// Lets so much time pass.
pub(crate) fn pass(system: System, time: Duration) {
    let start = system.now();
    while system.now().since(start) < time {
        spin_loop();
    }
}

/// Every expiry of a shared timer reaches everybody once, with when it was due.
#[reflex::test(group = "kinds")]
fn a_shared_timer_reaches_everybody(system: System) -> Result<(), Error> {
    static COUNTS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
    static LAST: AtomicU64 = AtomicU64::new(0);
    const PERIOD: Duration = Duration::from_micros(500);
    let mut contexts = Vec::new();
    for place in 0..COUNTS.len() as u8 {
        let priority = Priority::new(20 + place * 10).expect("below 64");
        contexts.push(system.context("told", ()).priority(priority).build()?);
    }
    // In a section it does not go off before all have registered.
    let begin = system.now();
    let (timer, made, all) = system.section(|| {
        let timer = system.every(PERIOD).shared()?;
        let made = system.now();
        let mut all = Vec::new();
        for (count, context) in COUNTS.iter().zip(&contexts) {
            all.push(system.subscribe(timer.clone()).on(*context, move |(), event| {
                let due = event.data.due;
                assert!(due <= system.now(), "told early");
                LAST.fetch_max(due.as_nanos(), Relaxed);
                count.fetch_add(event.count, Relaxed);
            })?);
        }
        Ok::<_, Error>((timer, made, all))
    })?;
    wait(|| COUNTS.iter().all(|count| count.load(Relaxed) >= 10));
    timer.stop();
    pass(system, Duration::from_millis(2));
    let counts = COUNTS.each_ref().map(|count| count.load(Relaxed));
    assert_eq!(counts, [counts[0]; 3], "each expiry is told to all");
    // The last was due as many periods after the start as there were expiries.
    let start = LAST.load(Relaxed) - u64::from(counts[0]) * PERIOD.as_nanos() as u64;
    assert!((begin.as_nanos()..=made.as_nanos()).contains(&start));
    all.iter().try_for_each(|one| one.unregister())?;
    assert_eq!(timer.source().registrations(), 0);
    Ok(())
}

/// A shared timer that expires once tells every handler, and at once one that is registered later.
#[reflex::test(group = "kinds")]
fn a_shared_timer_that_has_expired_is_told_at_once(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let context = system.context("told", ()).build()?;
    // In a section it does not go off before somebody has registered.
    let timer = system.section(|| {
        let timer = system.after(Duration::from_millis(1)).shared()?;
        system.subscribe(timer.clone()).on(context, |(), event| {
            TOLD.fetch_add(event.count, Relaxed);
        })?;
        assert_eq!(TOLD.load(Relaxed), 0);
        Ok::<_, Error>(timer)
    })?;
    wait(|| TOLD.load(Relaxed) == 1);
    system.subscribe(timer.clone()).on(context, |(), event| {
        TOLD.fetch_add(10 * event.count, Relaxed);
    })?;
    assert_eq!(TOLD.load(Relaxed), 11);
    // Started again it has not expired, and then it has: for both.
    timer.after(Duration::from_micros(200));
    assert_eq!((timer.ready(), TOLD.load(Relaxed)), (None, 11));
    wait(|| TOLD.load(Relaxed) == 22);
    timer.every(Duration::from_secs(3600));
    timer.stop();
    assert_eq!(timer.ready(), None);
    Ok(())
}

struct Fire(SharedSignal);

impl Acknowledge for Fire {
    fn acknowledge(&mut self) -> bool {
        self.0.fire();
        true
    }
}

/// A shared signal reaches everybody, from handlers and from interrupts.
#[reflex::test(group = "kinds")]
fn a_shared_signal_reaches_everybody(system: System) -> Result<(), Error> {
    static COUNTS: [AtomicU32; 10] = [const { AtomicU32::new(0) }; 10];
    let signal = system.signal(SignalMode::Counter).shared()?;
    for count in &COUNTS {
        let context = system.context("told", ()).build()?;
        system.subscribe(signal.clone()).on(context, move |(), event| {
            count.fetch_add(event.count, Relaxed);
        })?;
    }
    let vector = Vector::reserve()?;
    let fire: &'static mut Fire =
        alloc::boxed::Box::leak(alloc::boxed::Box::new(Fire(signal.clone())));
    vector.post(Job::new(|| {})?, Some(fire));
    for _ in 0..100 {
        signal.fire();
        reflex::bench::raise(vector);
    }
    wait(|| COUNTS.iter().all(|count| count.load(Relaxed) >= 200));
    pass(system, Duration::from_millis(1));
    assert!(COUNTS.iter().all(|count| count.load(Relaxed) == 200));
    Ok(())
}

/// A monitored condition is told with its data when it holds, and sampled only as long as anybody
/// has registered.
#[reflex::test(group = "kinds")]
fn a_monitor_samples_as_long_as_somebody_wants_to_know(system: System) -> Result<(), Error> {
    static SAMPLES: AtomicU32 = AtomicU32::new(0);
    static VALUE: AtomicU32 = AtomicU32::new(0);
    static TOLD: AtomicU32 = AtomicU32::new(0);
    let monitor = Monitor::new(system, Duration::from_micros(200), || {
        SAMPLES.fetch_add(1, Relaxed);
        Some(VALUE.load(Relaxed)).filter(|value| *value > 0)
    })?;
    pass(system, Duration::from_millis(2));
    assert_eq!(SAMPLES.load(Relaxed), 0, "nobody wants to know");
    let context = system.context("told", ()).build()?;
    let subscribed = system.subscribe(monitor.clone()).on(context, |(), event| {
        TOLD.store(event.data, Relaxed);
    })?;
    wait(|| SAMPLES.load(Relaxed) >= 5);
    assert_eq!(TOLD.load(Relaxed), 0, "it does not hold");
    VALUE.store(7, Relaxed);
    wait(|| TOLD.load(Relaxed) == 7);
    subscribed.unregister()?;
    let samples = SAMPLES.load(Relaxed);
    pass(system, Duration::from_millis(2));
    assert_eq!(SAMPLES.load(Relaxed), samples);
    // The short way.
    static AGAIN: AtomicU32 = AtomicU32::new(0);
    let condition = || Some(VALUE.load(Relaxed));
    system.monitor(Duration::from_micros(200), condition)?.once().on(context, |(), event| {
        AGAIN.fetch_add(event.data, Relaxed);
    })?;
    wait(|| AGAIN.load(Relaxed) == 7);
    Ok(())
}

/// Memory that becomes scarce is an event, and so is its ceasing to be (K-7).
#[reflex::test(group = "kinds")]
fn scarce_memory_is_told_and_so_is_its_end(system: System) -> Result<(), Error> {
    static SCARCE: AtomicU32 = AtomicU32::new(0);
    static EASED: AtomicU32 = AtomicU32::new(0);
    static BELOW: AtomicBool = AtomicBool::new(false);
    let free = system.heap().free();
    // What is taken stays the heap's.
    let mark = free / 4 * 3;
    let marks = Watermarks { machine: 0, heap: mark };
    let memory = Memory::new(system, marks, Duration::from_micros(500))?;
    let context = system.context("told", ()).build()?;
    system.subscribe(memory.clone()).on(context, move |(), event| {
        let count = if event.data.scarce { &SCARCE } else { &EASED };
        count.fetch_add(event.count, Relaxed);
        BELOW.store(event.data.heap < mark, Relaxed);
    })?;
    for round in 1..=3 {
        let mut taken: Vec<u8> = Vec::new();
        taken.try_reserve_exact(free / 3).map_err(|_| "no room for the test")?;
        wait(|| SCARCE.load(Relaxed) == round);
        assert!(BELOW.load(Relaxed) && memory.is_scarce());
        drop(taken);
        wait(|| EASED.load(Relaxed) == round);
        assert!(!BELOW.load(Relaxed));
    }
    Ok(())
}

/// A datagram tells its handler all there is to know. The emulator's gateway has no file to give, and says so (RFC 1350).
#[reflex::test(group = "kinds")]
fn datagrams_tell_all_there_is_to_know(system: System) -> Result<(), Error> {
    static ANSWERS: AtomicU32 = AtomicU32::new(0);
    const GATEWAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 69);
    const PORT: u16 = 4_000;
    struct Asks;
    impl UdpService for Asks {
        fn datagram(&mut self, _: &UdpSocket, datagram: Datagram<'_>) {
            let Datagram { from, to, payload } = datagram;
            // An error, to us.
            assert_eq!((from, to.port(), &payload[..2]), (GATEWAY, PORT, &b"\0\x05"[..]));
            ANSWERS.fetch_add(1, Relaxed);
        }
    }
    wait(|| system.net().is_ok_and(|net| net.address().is_some()));
    let socket = system.udp(PORT).serve(system.context("asks", Asks).build()?)?;
    wait(|| {
        socket.send_to(b"\0\x01kind\0octet\0", GATEWAY).expect("it goes out");
        pass(system, Duration::from_millis(50));
        ANSWERS.load(Relaxed) > 0
    });
    Ok(())
}

/// The console goes to one reader.
#[reflex::test(group = "kinds")]
fn the_console_is_exclusive(system: System) -> Result<(), Error> {
    let console = Console::open(system)?;
    assert!(matches!(Console::open(system), Err(Error::Console(_))));
    let context = system.context("reader", ()).build()?;
    let first = system.subscribe(console.clone()).on(context, |(), _| {})?;
    let second = system.subscribe(console.clone()).on(context, |(), _| {});
    assert_eq!(second.err(), Some(Error::Event(EventError::Exclusive)));
    first.unregister()?;
    system.subscribe(console).on(context, |(), _| {})?;
    Ok(())
}
