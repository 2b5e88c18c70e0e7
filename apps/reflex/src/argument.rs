//! Arguments: the application's keys of the kernel command line, declared once.
//!
//! ```no_run
//! # #![no_main]
//! # use reflex::{Argument, prelude::*};
//! const CONNECTIONS: Argument =
//!     Argument::number("connections", 1..=1 << 20, "connections at a time").usually("1024");
//!
//! #[reflex::main(arguments = &[CONNECTIONS])]
//! fn main(system: System) -> Result {
//!     let connections = system.number(CONNECTIONS).unwrap_or(1024);
//!     Ok(())
//! }
//! ```
//!
//! They may also come in a configuration file, or one by one from the hypervisor (`docs/deploying.md`), as secrets
//! should ([`Argument::secret`]).
//!
//! At the start what was given is held against them: a key that neither the application nor the kernel knows, or a
//! number that is out of its bounds, ends the image with status 103 and the nearest name. What machines and boot
//! loaders add is ignored with a line of the log; the word `help` prints all that may be given.

use crate::{Secret, System, status};
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use reflex_boot::console;
use reflex_boot::known_keys::{self, Key, first_unknown, is_foreign, nearest};

/// A key of the command line: its name, what its value is, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    key: Key,
    kind: Kind,
}

/// What an argument's value is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A number from the least to the greatest.
    Number(usize, usize),
    Text,
    /// What is not to be printed.
    Secret,
}

impl Argument {
    /// A number from `allowed`.
    pub const fn number(
        name: &'static str,
        allowed: RangeInclusive<usize>,
        meaning: &'static str,
    ) -> Self {
        let kind = Kind::Number(*allowed.start(), *allowed.end());
        Self { kind, ..Self::text(name, "N", meaning) }
    }

    /// Text: `value` says what, as in `ADDRESS` or `send|write|read`.
    pub const fn text(name: &'static str, value: &'static str, meaning: &'static str) -> Self {
        Self { key: Key { name, value, usual: "", meaning }, kind: Kind::Text }
    }

    /// A password, a token, a key: [`System::secret`] has it, and nothing prints it.
    pub const fn secret(name: &'static str, meaning: &'static str) -> Self {
        Self { kind: Kind::Secret, ..Self::text(name, "SECRET", meaning) }
    }

    /// A key without a value.
    pub const fn flag(name: &'static str, meaning: &'static str) -> Self {
        Self::text(name, "", meaning)
    }

    /// What is used when it is not given, as `help` says it.
    pub const fn usually(mut self, usual: &'static str) -> Self {
        self.key.usual = usual;
        self
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.key.name
    }

    /// The least and the greatest value of a number.
    const fn bounds(&self) -> Option<(usize, usize)> {
        match self.kind {
            Kind::Number(least, most) => Some((least, most)),
            Kind::Text | Kind::Secret => None,
        }
    }

    /// The number that `text` is, when it is one that is allowed.
    fn parse(&self, text: &str) -> Option<usize> {
        let (least, most) = self.bounds()?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && (least..=most).contains(number))
    }
}

/// Those that the facade itself has, beside the kernel's.
pub(crate) const BUSY: Argument = Argument::number("busy", 1..=3_600_000, "");
pub(crate) const STATS: Argument = Argument::number("stats", 1..=3_600_000, "");
pub(crate) const LOOPBACK: Argument = Argument::flag("loopback", "");
pub(crate) const SHUTDOWN: Argument = Argument::number("shutdown", 0..=3_600, "");

/// Ends the image when the command line has what nothing knows, `own` being the application's, or asks for help.
pub(crate) fn check(system: System, own: &'static [Argument]) {
    let line = &system.machine().arguments;
    let keys: Vec<Key> = own.iter().map(|argument| argument.key).collect();
    if line.get("help").is_some() {
        known_keys::KERNEL.iter().chain(&keys).for_each(print);
        system.exit(status::SUCCESS);
    }
    if let Some(key) = first_unknown(line, &keys) {
        match nearest(key, &keys) {
            Some(near) => log::error!("command line: {key}: there is no such key; perhaps {near}?"),
            None => {
                log::error!("command line: {key}: there is no such key; `help` prints them all")
            }
        }
        system.exit(status::BAD_COMMAND_LINE);
    }
    for argument in own.iter().chain(&[BUSY, STATS, SHUTDOWN]) {
        let (name, bounds) = (argument.name(), argument.bounds());
        let wrong = |text: &&str| bounds.is_some() && argument.parse(text).is_none();
        if let (Some(text), Some((least, most))) = (line.all(name).find(wrong), bounds) {
            log::error!(
                "command line: {name}: expected a number from {least} to {most}, not `{text}`"
            );
            system.exit(status::BAD_COMMAND_LINE);
        }
    }
    for (key, _) in line.words().filter(|(key, _)| is_foreign(key)) {
        log::info!("command line: {key} is for other systems, and ignored");
    }
}

/// A line of the help.
fn print(key: &Key) {
    let Key { name, value, usual, meaning } = key;
    let equals = if value.is_empty() { "" } else { "=" };
    let (open, close) = if usual.is_empty() { ("", "") } else { (" [", "]") };
    console::line(format_args!("{name}{equals}{value}  {meaning}{open}{usual}{close}"));
}

impl System {
    /// The number that was given for `argument`, the first if there are several.
    pub fn number(self, argument: Argument) -> Option<usize> {
        self.argument(argument).and_then(|text| argument.parse(text))
    }

    /// What was given for `argument`: empty for a flag. `None` for a secret, which [`System::secret`] has.
    pub fn argument(self, argument: Argument) -> Option<&'static str> {
        match argument.kind {
            Kind::Secret => None,
            Kind::Number(..) | Kind::Text => self.machine().arguments.get(argument.name()),
        }
    }

    /// What was given for `argument`, as what is not to be printed.
    pub fn secret(self, argument: Argument) -> Option<Secret<'static>> {
        self.machine().arguments.secret(argument.name())
    }

    /// Whether `argument`, a flag, was given.
    pub fn flag(self, argument: Argument) -> bool {
        self.argument(argument).is_some()
    }
}
