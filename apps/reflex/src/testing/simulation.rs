//! The machine and what is outside of it, in one time.

use super::world::World;
use super::{Builder, Client, Datagrams, Faults, StartError};
use crate::conclude::{Conclusion, conclude};
use crate::{System, entry};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use reflex_boot::command_line::Addressing;
use reflex_boot::hosted::disks::Interrupt;
use reflex_boot::hosted::{self, End, Hosted};
use reflex_event::{Context, EventSystem as Kernel, Instant, Priority, Registration};
use reflex_runtime::memory;
use std::sync::{Mutex, PoisonError};

/// A machine with an appliance on it, and a host at the other end of its wire.
pub struct Simulation {
    hosted: Hosted,
    world: Rc<RefCell<World>>,
    system: System,
    seed: u64,
}

impl Simulation {
    /// Starts a machine with `setup` in the place of an image's `main`, and runs what that leads to.
    ///
    /// # Errors
    /// [`StartError`], as when `setup` returns an error.
    ///
    /// # Panics
    /// With a panic of `setup`; and when the calling thread simulates a machine already.
    pub fn new<R: Conclusion>(
        setup: impl FnOnce(System) -> R + Send + 'static,
    ) -> Result<Self, StartError> {
        Self::builder().start(setup)
    }

    /// A machine about to be started, with other than the usual properties.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn start<R: Conclusion>(
        builder: Builder,
        setup: impl FnOnce(System) -> R + Send + 'static,
    ) -> Result<Self, StartError> {
        let place = Arc::new(Mutex::new(None));
        let (given, arguments, network) = (place.clone(), builder.arguments, builder.network);
        let plugged = builder.disks.clone();
        let started = Hosted::start(builder.settings(), move |kernel, machine| {
            if !network {
                machine.devices.unplug();
            }
            for medium in plugged {
                let disk = Box::new(medium.prompt_disk());
                let connect = Box::new(move |interrupt: Interrupt| {
                    medium.on_interrupt(move || interrupt());
                });
                machine.devices.plug_disk(disk, connect);
            }
            let system = System::new(kernel, machine);
            *given.lock().unwrap_or_else(PoisonError::into_inner) = Some(system);
            entry::begin(system, arguments, |system| conclude(system, setup(system)));
        });
        let hosted = started.map_err(StartError::CommandLine)?;
        let system = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(system) = system else {
            let Some(&End::Exit(status)) = hosted.end() else {
                panic!("the kernel did not start");
            };
            return Err(StartError::Ended(status));
        };
        let mut world = World::new(hosted.devices().clone(), builder.seed, builder.disks);
        world.set_faults(builder.faults);
        let world = Rc::new(RefCell::new(world));
        let mut sim = Self { hosted, world, system, seed: builder.seed };
        sim.run();
        match sim.exit_status() {
            Some(status) => Err(StartError::Ended(status)),
            None => Ok(sim),
        }
    }

    /// The machine, as the application has it. What is asked for here happens when the simulation runs.
    pub fn system(&self) -> System {
        self.system
    }

    /// Time since the machine started.
    pub fn now(&self) -> Instant {
        Instant::from_nanos(hosted::nanoseconds())
    }

    /// Lets everything happen that is under way: until all handlers have run that are due, and no frame is on the
    /// wire. Time passes as far as that takes.
    ///
    /// # Panics
    /// With a panic that has ended the image; this and the others that let time pass.
    pub fn run(&mut self) {
        self.settle();
        while let Some(arrival) = self.next_arrival() {
            self.pass_to(arrival);
        }
    }

    /// Lets `time` pass, with all that happens meanwhile.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now() + time;
        self.settle();
        self.pass_to(end);
    }

    /// Lets time pass until `done`, which is asked whenever something has happened, or until `limit` has passed:
    /// then this is false.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now() + limit;
        self.settle();
        while !done(self) {
            if self.now() >= end {
                return false;
            }
            let next = self.next_due().map_or(end, |due| due.min(end));
            self.step_to(next);
        }
        true
    }

    /// Opens a connection to a port of the machine's. [`run`](Self::run) has it established, or refused.
    pub fn connect(&mut self, port: u16) -> Client {
        let remote = SocketAddrV4::new(self.address(), port);
        let handle = self.world.borrow_mut().peer.connect(remote);
        Client::new(self.world.clone(), handle)
    }

    /// Waits at a port of the peer's, `10.77.0.1`, for one connection that the machine opens.
    pub fn listen(&mut self, port: u16) -> Client {
        let handle = self.world.borrow_mut().peer.listen(port);
        Client::new(self.world.clone(), handle)
    }

    /// A UDP socket of the peer's, at `port`, or for 0 at one of its choice.
    pub fn datagrams(&mut self, port: u16) -> Datagrams {
        let socket = self.world.borrow_mut().peer.bind(port);
        Datagrams::new(self.world.clone(), socket, self.address())
    }

    /// Changes what the wire does to frames: lost, repeated, delayed and damaged ones, in percent, and how long one
    /// takes, which is 50 µs at first.
    pub fn set_faults(&mut self, faults: Faults) {
        self.world.borrow_mut().set_faults(faults);
    }

    /// Has no more than `bytes` of the machine's memory be left for what is still to be made: contexts, their event
    /// memory, connections set aside. [`System::available_memory`] says how much there is.
    pub fn limit_memory(&mut self, bytes: usize) {
        let surplus = memory::available().saturating_sub(bytes);
        let _ = memory::take(surplus, 1);
    }

    /// Presses the power button.
    pub fn press_power_button(&mut self) {
        self.hosted.devices().press_power_button();
    }

    /// Takes the lines that have been written to the console since the start, or since this was last called: those of
    /// [`println!`](crate::println), and of the log with their times and levels.
    pub fn take_lines(&mut self) -> Vec<String> {
        self.hosted.take_lines()
    }

    /// The status that the image ended with, if it has.
    pub fn exit_status(&self) -> Option<u8> {
        match self.hosted.end()? {
            End::Exit(status) => Some(*status),
            End::Panic(_) => Some(crate::status::PANIC),
        }
    }

    /// Runs `look` on the state of the context of that name, in a handler of it.
    ///
    /// # Panics
    /// When there is no such context, or its state is no `S`, or it has no room for one registration more; or when
    /// it does not get to it.
    pub fn state<S: 'static, R: Send + 'static>(
        &mut self,
        context: &str,
        look: impl FnOnce(&mut S) -> R + Send + 'static,
    ) -> R {
        let kernel = self.system.kernel();
        let found = kernel.contexts().find(|info| info.name == context);
        let found = found.unwrap_or_else(|| panic!("there is no context called {context}"));
        let seen = Arc::new(Mutex::new(None));
        let (look, told) = (Mutex::new(Some(look)), seen.clone());
        let registration = Registration { priority: Priority::HIGHEST, ..Registration::default() };
        let event =
            kernel.register(Context::new(found.id), registration, move |state: &mut S, _| {
                let look = look.lock().unwrap_or_else(PoisonError::into_inner).take();
                *told.lock().unwrap_or_else(PoisonError::into_inner) = look.map(|look| look(state));
            });
        let event = event.unwrap_or_else(|error| panic!("the state of {context}: {error}"));
        let activated = kernel.activate(event, 1);
        self.settle();
        let result = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = activated.and(kernel.unregister(event));
        self.settle();
        result.unwrap_or_else(|| panic!("{context} does not run its handlers"))
    }

    /// The machine's address.
    fn address(&self) -> Ipv4Addr {
        match self.system.machine().arguments.addressing {
            Addressing::Static { address, .. } => address,
            Addressing::Dhcp => Ipv4Addr::UNSPECIFIED,
        }
    }

    /// Does all that can be done without time passing.
    fn settle(&mut self) {
        loop {
            self.hosted.run();
            if let Some(payload) = self.hosted.take_panic() {
                std::panic::resume_unwind(payload);
            }
            let now = self.now();
            if !self.world.borrow_mut().exchange(now) {
                return;
            }
        }
    }

    /// Lets time pass to `end`.
    fn pass_to(&mut self, end: Instant) {
        while let Some(next) = self.next_due().filter(|next| *next < end) {
            self.step_to(next);
        }
        self.step_to(end);
    }

    fn step_to(&mut self, time: Instant) {
        self.hosted.advance_to(time.as_nanos());
        self.settle();
    }

    fn next_arrival(&self) -> Option<Instant> {
        self.world.borrow().next_arrival()
    }

    /// When something happens next.
    fn next_due(&mut self) -> Option<Instant> {
        let outside = self.world.borrow_mut().next_due(self.now());
        let inside = self.hosted.deadline().map(Instant::from_nanos);
        // A step forward at least, so that what is due is due then.
        let next = [outside, inside].into_iter().flatten().min()?;
        Some(next.max(self.now() + Duration::from_nanos(1)))
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::eprintln!("the simulation's seed was {0}: REFLEX_SEED={0} repeats it", self.seed);
        }
    }
}
