//! The commands of the administrative port.

use crate::blobs::Blobs;
use crate::command::Call;
use crate::counters::Shared;
use crate::engine::Execute;
use crate::failure::Failure;
use crate::info::{self, Facts};
use crate::settings;
use alloc::sync::Arc;
use core::fmt;
use reflex_collections::Memory;

/// What an administrator asks of the appliance.
pub trait Appliance {
    /// What there is to say of the store's context.
    fn facts(&self) -> Facts;

    /// The store's limits have been changed: it is to keep them.
    fn limits_changed(&self);

    /// Writes what the system itself counts.
    ///
    /// # Errors
    /// Those of `out`.
    fn system_metrics(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// It is to be turned off when this has been answered.
    fn shut_down(&mut self);
}

/// The commands of the administrative port: PING, INFO, METRICS, CONFIG, SHUTDOWN and QUIT. They look at what the
/// store's context counts, and need not wait for it.
pub struct Admin<A> {
    appliance: A,
    shared: Arc<Shared>,
    memory: Memory,
}

impl<A: Appliance> Admin<A> {
    /// The commands on the store that `shared` is of; the memory is the administrative context's own.
    pub fn new(appliance: A, shared: Arc<Shared>, memory: Memory) -> Self {
        Self { appliance, shared, memory }
    }

    /// Writes statistics to a datagram, whole lines of them; returns how long it is.
    pub fn statistics(&self, datagram: &mut [u8]) -> usize {
        self.appliance.facts().datagram(&self.shared, datagram)
    }

    fn config(&self, call: &mut Call<'_, '_>) -> Result<(), Failure> {
        if call.command.is(1, "get") {
            settings::get(&self.shared.limits, call)
        } else if call.command.is(1, "set") {
            settings::set(&self.shared.limits, call)?;
            self.appliance.limits_changed();
            Ok(())
        } else {
            Err(Failure::Subcommand("config"))
        }
    }

    fn told(&self, call: &mut Call<'_, '_>, metrics: bool) -> Result<(), Failure> {
        let (facts, mut text) = (self.appliance.facts(), self.memory.string());
        let section = (call.command.len() > 1).then(|| call.command.word(1)).transpose()?;
        let written = match metrics {
            true => info::metrics(&mut text, &self.shared, facts)
                .and_then(|()| self.appliance.system_metrics(&mut text)),
            false => info::write(&mut text, &self.shared, facts, section),
        };
        written.map_err(|_| Failure::ReplyTooLarge)?;
        call.reply.bulk(text.as_bytes());
        Ok(())
    }
}

impl<A: Appliance> Execute for Admin<A> {
    fn execute(&mut self, call: &mut Call<'_, '_>) -> Result<(), Failure> {
        let command = call.command;
        let words = command.len();
        if command.is(0, "ping") && words == 1 {
            call.reply.simple("PONG");
        } else if command.is(0, "info") && words <= 2 {
            return self.told(call, false);
        } else if command.is(0, "metrics") && words == 1 {
            return self.told(call, true);
        } else if command.is(0, "config") && words >= 2 {
            return self.config(call);
        } else if command.is(0, "quit") {
            call.reply.ok();
            call.reply.close();
        } else if command.is(0, "shutdown") && words <= 2 {
            self.appliance.shut_down();
            call.reply.ok();
            call.reply.close();
        } else {
            return Err(Failure::UnknownCommand);
        }
        Ok(())
    }

    /// No command of this port has a long argument.
    fn make_room(&mut self, _: usize, _: &mut Blobs) -> Result<(), Failure> {
        Err(Failure::OutOfMemory)
    }
}
