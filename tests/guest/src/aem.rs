//! The AEM interface's control, timers and keepalive. What it makes of sockets is
//! shown by its example server, end to end.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use reflex::net::NetError;
use reflex::{
    Activation, ContextId, DisabledPolicy, Error, EventError, Priority, SignalMode, System,
};
use reflex_aem::{
    Clean, Disable, Enable, Filter, Listening, LookUp, SetPriority, SetTimeOut, Socket, Unregister,
    enter_keepalive, evctl, evtimer, leave_keepalive, sockasync_accept,
};

const NEVER: Duration = Duration::from_secs(100_000);

/// Runs of a handler, and the occurrences it was told of.
struct Told {
    runs: AtomicU32,
    count: AtomicU32,
}

impl Told {
    fn note(&self, activation: Activation) {
        self.count.fetch_add(activation.count, Relaxed);
        self.runs.fetch_add(1, Relaxed);
    }

    fn take(&self) -> (u32, u32) {
        (self.runs.swap(0, Relaxed), self.count.swap(0, Relaxed))
    }
}

/// Each operation does what it says, and answers in its own terms.
#[reflex::test]
fn evctl_controls_an_event_by_its_identifier(system: System) -> Result<(), Error> {
    static TOLD: Told = Told { runs: AtomicU32::new(0), count: AtomicU32::new(0) };
    let context = system.context("controlled", ()).build()?;
    let note = |(): &mut (), activation| TOLD.note(activation);
    let event = evtimer(system, context, NEVER, Duration::ZERO, None, note)?;

    evctl(system, event, Disable(DisabledPolicy::Count))?;
    assert_eq!(evctl(system, event, LookUp)?.disabled, Some(DisabledPolicy::Count));
    system.activate(event, 3)?;
    assert_eq!((evctl(system, event, Enable)?, TOLD.take()), (3, (0, 0)));

    evctl(system, event, Disable(DisabledPolicy::Keep))?;
    system.activate(event, 2)?;
    assert_eq!(evctl(system, event, Clean)?, 2);
    system.activate(event, 4)?;
    assert_eq!((evctl(system, event, Enable)?, TOLD.take()), (0, (1, 4)));

    static LEAST: AtomicU32 = AtomicU32::new(2);
    evctl(system, event, Filter(|count| count >= LEAST.load(Relaxed)))?;
    system.activate(event, 1)?;
    system.activate(event, 2)?;
    assert_eq!(TOLD.take(), (1, 2));

    evctl(system, event, SetPriority(Priority::HIGH))?;
    assert_eq!(evctl(system, event, LookUp)?.registration.priority, Priority::HIGH);

    evctl(system, event, SetTimeOut(Some(Duration::from_millis(1))))?;
    while TOLD.runs.load(Relaxed) == 0 {
        core::hint::spin_loop();
    }
    system.sleep(Duration::from_millis(5))?;
    evctl(system, event, SetTimeOut(None))?;
    assert_eq!(TOLD.take(), (1, 0), "it is told once that nothing has occurred");

    let dropped = system.section(|| {
        system.activate(event, 5).expect("registered");
        evctl(system, event, Unregister)
    })?;
    assert_eq!(dropped, 5);
    let stale = Err(Error::Event(EventError::Stale));
    assert_eq!(evctl(system, event, Unregister), stale);
    assert_eq!(evctl(system, event, Enable), stale);
    assert_eq!(TOLD.take(), (0, 0));
    Ok(())
}

/// A timer's first expiry comes after its interval, the others a period apart; without a period
/// there is one.
#[reflex::test]
fn evtimer_expires_after_its_interval_and_then_by_its_period(system: System) -> Result<(), Error> {
    static EXPIRED: AtomicU32 = AtomicU32::new(0);
    const INTERVAL: Duration = Duration::from_millis(20);
    const PERIOD: Duration = Duration::from_millis(1);
    let context = system.context("timed", ()).build()?;
    let count = |(): &mut (), activation: Activation| {
        EXPIRED.fetch_add(activation.count, Relaxed);
    };
    let waited = |least| {
        let began = system.now();
        while EXPIRED.load(Relaxed) < least {
            core::hint::spin_loop();
        }
        system.now().since(began)
    };
    let began = system.now();
    let event = evtimer(system, context, INTERVAL, PERIOD, Some(Priority::HIGH), count)?;
    waited(1);
    assert!(system.now().since(began) >= INTERVAL, "too early");
    waited(5);
    assert!(system.now().since(began) >= INTERVAL + 4 * PERIOD, "too often");
    evctl(system, event, Unregister)?;
    let told = EXPIRED.swap(0, Relaxed);
    assert!(told >= 5);
    system.sleep(5 * PERIOD)?;
    assert_eq!(EXPIRED.load(Relaxed), 0, "the timer ends with its registration");

    let once = evtimer(system, context, PERIOD, Duration::ZERO, None, count)?;
    waited(1);
    system.sleep(5 * PERIOD)?;
    assert_eq!(EXPIRED.load(Relaxed), 1);
    // It can still be controlled.
    assert_eq!(evctl(system, once, Unregister)?, 0);
    Ok(())
}

/// `main` stays in keepalive while handlers run, until one of them signals it. A signal that comes
/// early is not lost, and one is good for one return.
#[reflex::test]
fn keepalive_lasts_until_it_is_signalled(system: System) -> Result<(), Error> {
    static ENTERED: AtomicBool = AtomicBool::new(false);
    static TICKS: AtomicU32 = AtomicU32::new(0);
    const MOST: u32 = 10;
    let main = system.running().ok_or(EventError::Busy)?;
    let context = system.context("signaller", ()).build()?;
    let period = Duration::from_millis(1);
    let tick = evtimer(system, context, period, period, None, move |(), _| {
        if ENTERED.load(Relaxed) && TICKS.fetch_add(1, Relaxed) + 1 == MOST {
            leave_keepalive(system, main).expect("`main` is there");
        }
    })?;
    leave_keepalive(system, main)?;
    enter_keepalive(system)?;
    assert_eq!(TICKS.load(Relaxed), 0, "the early signal was enough");
    ENTERED.store(true, Relaxed);
    enter_keepalive(system)?;
    assert!(TICKS.load(Relaxed) >= MOST);
    evctl(system, tick, Unregister)?;
    let nobody = ContextId::new(main.index, main.generation() + 1);
    assert_eq!(leave_keepalive(system, nobody), Err(Error::Event(EventError::NoContext)));
    Ok(())
}

/// A handler that stays alive for the others of its machine keeps only its own context waiting.
#[reflex::test]
fn a_handler_may_enter_keepalive_too(system: System) -> Result<(), Error> {
    static STAYS: AtomicBool = AtomicBool::new(false);
    static LEFT: AtomicBool = AtomicBool::new(false);
    let context = system.context("kept alive", ()).build()?;
    let stay = system.signal(SignalMode::Counter).on(context, move |(), _| {
        STAYS.store(true, Relaxed);
        enter_keepalive(system).expect("it may wait");
        LEFT.store(true, Relaxed);
    })?;
    stay.fire()?;
    assert!(STAYS.load(Relaxed) && !LEFT.load(Relaxed));
    leave_keepalive(system, context.id())?;
    assert!(LEFT.load(Relaxed));
    Ok(())
}

/// An accept that nobody answers in time is told so, with the old socket alone; its port is taken as
/// long as its event is registered, and what cannot be had leaves nothing behind.
#[reflex::test]
fn an_accept_can_time_out(system: System) -> Result<(), Error> {
    static TOLD: AtomicU32 = AtomicU32::new(0);
    const PORT: u16 = 4747;
    let context = system.context("acceptor", ()).build()?;
    let listen = || Ok::<_, Error>(system.tcp(PORT).connections(1));
    let told = |(): &mut (), activation: Activation, old: &Listening, new: Option<&Socket<()>>| {
        assert!(activation.timed_out() && new.is_none() && old.port() == PORT);
        TOLD.fetch_add(1, Relaxed);
    };
    let event = sockasync_accept(system, listen()?, context, Some(Priority::HIGH), told)?;
    assert_eq!(evctl(system, event, LookUp)?.registration.priority, Priority::HIGH);
    evctl(system, event, SetTimeOut(Some(Duration::from_millis(1))))?;
    while TOLD.load(Relaxed) == 0 {
        core::hint::spin_loop();
    }
    let registered = system.registered();
    let again = sockasync_accept(system, listen()?, context, None, told);
    assert_eq!(again, Err(Error::Net(NetError::PortInUse)));
    assert_eq!(system.registered(), registered);
    evctl(system, event, Unregister)?;
    assert_eq!(TOLD.load(Relaxed), 1);
    Ok(())
}
