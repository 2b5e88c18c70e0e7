//! Starting the machine, and having it run.

use super::console;
use super::devices::Devices;
use super::stacks;
use crate::command_line::Error as CommandLineError;
use crate::exit::{MAIN_FAILED, TOO_LITTLE_MEMORY, fail};
use crate::{CommandLine, Machine, logger};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;
use core::arch::naked_asm;
use core::convert::Infallible;
use core::panic::AssertUnwindSafe;
use reflex_arch::apic::LocalApic;
use reflex_arch::calibration::{Rates, Source};
use reflex_arch::clock::Clock;
use reflex_arch::cpu::Features;
use reflex_arch::hosted::processor;
use reflex_runtime::{Platform, Runtime, Timekeeping, hosted};
use std::panic::catch_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts of the time stamp counter a second: they are nanoseconds.
const HZ: u64 = 1_000_000_000;
/// Bytes of `main`'s stack, and of that on which the kernel is started.
const MAIN_STACK: usize = 64 << 10;
/// Memory that a registration takes at least.
const EVENT_BYTES: usize = 80;

/// What the machine is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of memory.
    pub memory: usize,
    /// The kernel command line.
    pub arguments: String,
    /// What the kernel's random numbers follow from.
    pub seed: [u8; 32],
    /// Seconds from 1970-01-01 UTC to the start.
    pub unix_seconds: u64,
}

/// How an image ended.
pub enum End {
    /// With a status.
    Exit(u8),
    /// By a panic that was contained by nothing less.
    Panic(Box<dyn Any + Send>),
}

/// What the machine starts with, once the kernel has.
type Application = Box<dyn FnOnce(Runtime, &'static mut Machine) + Send>;

/// Held by the thread that has the machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// How the image ended that ran last, until that is looked at.
static END: Mutex<Option<End>> = Mutex::new(None);

/// The machine, which is the calling thread's for as long as this lives.
pub struct Hosted {
    devices: Devices,
    end: Option<End>,
    /// Given back last.
    _machine: MutexGuard<'static, ()>,
}

impl Hosted {
    /// Starts the machine with `application` as `main`, and runs it until it halts for the first time. Waits
    /// until no other thread has the machine.
    ///
    /// # Errors
    /// When the command line makes no sense.
    ///
    /// # Panics
    /// When the calling thread has the machine already, or the host has no memory for it.
    pub fn start(
        settings: Settings,
        application: impl FnOnce(Runtime, &'static mut Machine) + Send + 'static,
    ) -> Result<Self, CommandLineError> {
        assert!(!processor::is_own(), "this thread simulates a machine already");
        let arguments: &'static str = Box::leak(settings.arguments.clone().into_boxed_str());
        let command_line = CommandLine::parse(arguments.as_bytes())?;
        let machine = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        logger::init(command_line.log);
        console::take();
        let devices = Devices::default();
        let application: Application = Box::new(application);
        let start = Start { settings, command_line, devices: devices.clone(), application };
        let mut start = Some(start);
        let stack = stacks::STACKS.make;
        let stack = stack(MAIN_STACK, 0).expect("memory for a stack");
        let mut this = Self { devices, end: None, _machine: machine };
        // SAFETY: the stack is nobody else's; `entry` expects a `Start`, which it takes before the processor
        // halts, and does not return.
        unsafe { hosted::start(stack.end, entry, (&raw mut start).expose_provenance() as u64) };
        this.look();
        Ok(this)
    }

    /// Has the machine go on until it halts again. False when it is off.
    pub fn run(&mut self) -> bool {
        let ran = hosted::run();
        self.look();
        ran
    }

    /// Has time pass, to so many nanoseconds since the start; never back.
    pub fn advance_to(&mut self, nanoseconds: u64) {
        processor::advance_to(nanoseconds);
    }

    /// When the machine has something to do next, if nothing comes; by the same time.
    pub fn deadline(&self) -> Option<u64> {
        processor::deadline()
    }

    /// How the image ended, if it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Takes what a panic was begun with that ended the image.
    pub fn take_panic(&mut self) -> Option<Box<dyn Any + Send>> {
        match self.end.replace(End::Exit(crate::status::PANIC)) {
            Some(End::Panic(payload)) => Some(payload),
            other => {
                self.end = other;
                None
            }
        }
    }

    /// Takes the lines that have been written to the console.
    pub fn take_lines(&mut self) -> Vec<String> {
        console::take()
    }

    /// The other end of the devices.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    fn look(&mut self) {
        let end = END.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.end = end.or(self.end.take());
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        processor::release();
    }
}

/// Ends the image: nothing on the processor goes on.
pub(super) fn end(end: End) -> ! {
    *END.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    processor::turn_off()
}

struct Start {
    settings: Settings,
    command_line: CommandLine<'static>,
    devices: Devices,
    application: Application,
}

/// Where the processor begins.
///
/// # Safety
/// As [`begin`]; entered on an empty stack.
#[unsafe(naked)]
unsafe extern "C" fn entry(start: u64, _: u64, _: u64) -> ! {
    naked_asm!("call {begin}", "ud2", begin = sym begin)
}

/// # Safety
/// `start` is the address of a `Some`, which nobody uses meanwhile.
unsafe extern "C" fn begin(start: u64) -> ! {
    let start = core::ptr::with_exposed_provenance_mut::<Option<Start>>(start as usize);
    // SAFETY: the caller's duty.
    let start = unsafe { (*start).take() }.expect("a processor begins once");
    match catch_unwind(AssertUnwindSafe(|| -> Infallible { start.go_on() })) {
        Ok(never) => match never {},
        Err(payload) => end(End::Panic(payload)),
    }
}

impl Start {
    fn go_on(self) -> ! {
        let Self { settings, command_line, devices, application } = self;
        let memory = stacks::map(settings.memory).unwrap_or_else(|| {
            fail(TOO_LITTLE_MEMORY, format_args!("the host has no memory for the machine"))
        });
        let rates = Rates { tsc_hz: HZ, apic_hz: HZ, error_ppm: 0, source: Source::Assumed };
        let platform = Platform {
            memory,
            stacks: stacks::STACKS,
            time: Timekeeping {
                features: Features::default(),
                apic: LocalApic::PRESENT,
                clock: Clock::new(0, HZ),
                rates,
            },
            events: memory.len() / EVENT_BYTES,
            quarantine: command_line.quarantine,
            print: console::line,
            crash: |payload| end(End::Panic(payload)),
        };
        // SAFETY: called once since the reset, interrupts masked; memory and stack are nobody else's.
        let kernel = unsafe { reflex_runtime::init(platform) }.unwrap_or_else(|error| {
            fail(TOO_LITTLE_MEMORY, format_args!("too little memory: {error}"))
        });
        let machine = Box::leak(Box::new(Machine {
            arguments: command_line,
            started_unix_seconds: settings.unix_seconds,
            firmware: None,
            tsc_hz: HZ,
            processors: Box::new([0]),
            devices,
        }));
        kernel.seed(settings.seed);
        match kernel.enter(MAIN_STACK, move || application(kernel, machine)) {
            Err(error) => fail(MAIN_FAILED, format_args!("`main` could not be started: {error}")),
        }
    }
}
