//! What a simulated machine is like.

use super::Simulation;
use super::world::MACHINE;
use crate::conclude::Conclusion;
use crate::{Argument, System};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use reflex_boot::command_line::Error as CommandLineError;
use reflex_boot::hosted::Settings;
use reflex_testkit::{Faults, Medium, Random};

/// Bytes of memory that a machine has when nothing is said.
const USUAL_MEMORY: usize = 64 << 20;
/// The least that the kernel, a stack of the network and an application start in.
const LEAST_MEMORY: usize = 1 << 20;
/// 2026-01-01, 00:00 UTC.
const USUAL_UNIX_TIME: u64 = 1_767_225_600;

/// A machine about to be started; see [`Simulation::builder`].
#[must_use = "the machine is started by `start`"]
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) memory: usize,
    pub(super) command_line: String,
    pub(super) arguments: &'static [Argument],
    pub(super) seed: u64,
    pub(super) unix_time: u64,
    pub(super) network: bool,
    pub(super) faults: Faults,
    pub(super) disks: Vec<Medium>,
}

/// Why a machine did not start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// The kernel command line makes no sense.
    CommandLine(CommandLineError),
    /// The image ended with this status, as it does when `main` returns an error. The log says why.
    Ended(u8),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(error) => error.fmt(f),
            Self::Ended(status) => write!(f, "the image ended at its start, with status {status}"),
        }
    }
}

impl core::error::Error for StartError {}

impl Builder {
    pub(super) fn new() -> Self {
        let seed = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
        Self {
            memory: USUAL_MEMORY,
            command_line: String::new(),
            arguments: &[],
            seed: seed.unwrap_or(0),
            unix_time: USUAL_UNIX_TIME,
            network: true,
            faults: Faults::default(),
            disks: Vec::new(),
        }
    }

    /// Bytes of memory; 64 MiB unless said here, and at least 1 MiB. Stacks and the global heap are the host's, and
    /// are not counted.
    pub fn memory(self, bytes: usize) -> Self {
        Self { memory: bytes.max(LEAST_MEMORY), ..self }
    }

    /// The kernel command line. An address, `ip=10.77.0.2/24`, is added unless it has one.
    pub fn command_line(self, text: impl Into<String>) -> Self {
        Self { command_line: text.into(), ..self }
    }

    /// The arguments that the application declares by `#[reflex::main(arguments = ..)]`.
    pub fn arguments(self, arguments: &'static [Argument]) -> Self {
        Self { arguments, ..self }
    }

    /// What random numbers follow from; `REFLEX_SEED` in the environment, or 0, unless said here.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Seconds from 1970-01-01 UTC to the start; those to 2026 unless said here.
    pub fn unix_time(self, seconds: u64) -> Self {
        Self { unix_time: seconds, ..self }
    }

    /// The machine has no network interface.
    pub fn without_network(self) -> Self {
        Self { network: false, ..self }
    }

    /// What the wire does to frames from the start; see [`Simulation::set_faults`].
    pub fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The machine has that disk, behind those it has. It does at once what is asked of it.
    pub fn disk(mut self, medium: &Medium) -> Self {
        self.disks.push(medium.clone());
        self
    }

    /// Starts the machine with `setup` in the place of an image's `main`, and runs what that leads to.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start<R: Conclusion>(
        self,
        setup: impl FnOnce(System) -> R + Send + 'static,
    ) -> Result<Simulation, StartError> {
        Simulation::start(self, setup)
    }

    pub(super) fn settings(&self) -> Settings {
        let mut seed = [0; 32];
        Random::new(self.seed).fill(&mut seed);
        let given = self.command_line.split(' ').any(|word| word.starts_with("ip="));
        let arguments = match given {
            true => self.command_line.to_string(),
            false => format!("{} ip={MACHINE}/24", self.command_line),
        };
        Settings { memory: self.memory, arguments, seed, unix_seconds: self.unix_time }
    }
}
