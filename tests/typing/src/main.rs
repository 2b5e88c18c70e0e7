//! Says back, as `typed: LINE`, what is typed at its console, until somebody types `end`.
//!
//! The line `counts` is answered by `counts: N lines, N throttlings, N overruns`. With the key
//! `pace=MILLISECONDS` of the kernel command line it reads only that often, and little, and nothing
//! before the sender has been held up for the first time; with `net` it starts the network after it
//! has begun to read.
#![no_std]
#![no_main]

use core::time::Duration;
use reflex::raw;
use reflex::raw::Kernel;
use reflex::{Argument, Error, Registration, System, log, status};
use reflex_boot::devices::{Input, InputError, console_input};

/// The longest line that is said back whole.
const LONGEST: usize = 128;
/// What is read in one go: less than the port holds, and not a divisor of any size there is.
const HANDFUL: usize = 13;
/// How much is read at a pace.
const PORTION: usize = 8 * HANDFUL;

const PACE: Argument = Argument::number("pace", 1..=1000, "milliseconds between two readings");
const NET: Argument = Argument::flag("net", "starts the network, too");

#[reflex::main(arguments = &[PACE, NET])]
fn main(system: System) -> Result<(), Error> {
    let pace = system.number(PACE);
    let (input, line) = console_input(system.machine()).map_err(told)?;
    let typing = Typing { system, input, line: [0; LONGEST], length: 0, lines: 0 };
    let context = system.context("typing", typing).build()?;
    let kernel = raw::kernel(system);
    let registration = Registration { priority: context.priority(), ..Registration::default() };
    let event = kernel.register(context.handle(), registration, move |typing, _| {
        if pace.is_none() {
            typing.read(usize::MAX);
        }
    })?;
    if let Some(pace) = pace {
        let pace = Duration::from_millis(pace as u64);
        system.every(pace).on(context, |typing: &mut Typing, _| {
            // How fast bytes come is QEMU's and the host's affair: the ring fills however slowly.
            if typing.input.throttlings() > 0 {
                typing.read(PORTION);
            }
        })?;
    }
    let connected = line.connect(move |_| {
        // Registered for good, so it cannot be refused.
        let _ = kernel.activate(event, 1);
    });
    connected.map_err(told)?;
    match console_input(system.machine()) {
        Err(InputError::Taken) => {}
        other => log::error!("the console has two readers: {:?}", other.map(|(input, _)| input)),
    }
    if system.flag(NET) {
        system.net()?;
    }
    Ok(())
}

fn told(error: InputError) -> Error {
    log::error!("{error}");
    Error::Application("the console cannot be read")
}

/// A line that grows.
struct Typing {
    system: System,
    input: Input,
    line: [u8; LONGEST],
    length: usize,
    lines: u32,
}

impl Typing {
    /// Reads what there is, in handfuls, but not much more than `most`.
    fn read(&mut self, most: usize) {
        let mut read = 0;
        let mut bytes = [0; HANDFUL];
        while read < most {
            let count = self.input.take(&mut bytes);
            if count == 0 {
                return;
            }
            read += count;
            bytes[..count].iter().for_each(|byte| self.typed(*byte));
        }
    }

    fn typed(&mut self, byte: u8) {
        if byte == b'\n' {
            self.enter();
            self.length = 0;
        } else if let Some(place) = self.line.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn enter(&mut self) {
        match &self.line[..self.length] {
            b"end" => self.system.exit(status::SUCCESS),
            b"counts" => log::info!(
                "counts: {} lines, {} throttlings, {} overruns",
                self.lines,
                self.input.throttlings(),
                self.input.overruns()
            ),
            line => {
                self.lines += 1;
                log::info!("typed: {}", line.escape_ascii());
            }
        }
    }
}
