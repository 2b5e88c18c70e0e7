//! What is typed at the console.

use super::{Each, Kind, Source};
use crate::{Error, EventError, EventId, Runtime, System};
use alloc::sync::Arc;
use core::ops::Deref;
use reflex_boot::devices::{Input, console_input};
use reflex_event::{Ceiling, EventSystem as Kernel, Registration};
use spin::Once;

/// Bytes a handler is told of at a time, at most. They are copied by value on their way, so there are
/// few: what comes from a person at a keyboard fits.
const HANDED_ON: usize = 32;

/// The console's input. It goes to one registration. Copies are of the same console.
///
/// Nothing is lost on the way: while the handler does not keep pace, the sender is held up.
#[derive(Clone)]
pub struct Console(Arc<ConsoleShared>);

/// What its copies share.
struct ConsoleShared {
    kernel: Runtime,
    source: Source<ConsoleBytes>,
    /// Hands on what there is.
    pump: EventId,
    intake: Ceiling<Intake>,
}

struct Intake {
    input: Input,
    /// What the registration had no room for.
    held: Option<ConsoleBytes>,
}

/// Some bytes that were typed, in order: at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsoleBytes {
    bytes: [u8; HANDED_ON],
    length: u8,
}

impl Deref for ConsoleBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Console {
    /// The console's input, for the first caller.
    ///
    /// # Errors
    /// [`Error::Console`] when there is none, or other code reads it; others when memory or a table
    /// does not allow it.
    pub fn open(system: System) -> Result<Self, Error> {
        let kernel = system.kernel();
        let pump: Arc<Once<Arc<ConsoleShared>>> = Arc::default();
        let pumped = pump.clone();
        let event =
            kernel.register(system.system_context()?, Registration::default(), move |_, _| {
                pumped.get().inspect(|inner| inner.pump());
            })?;
        let go_on = move || {
            // Registered for good, so it cannot be refused.
            let _ = kernel.activate(event, 1);
        };
        let source = system.exclusive(go_on)?;
        let (input, line) = console_input(system.machine()).map_err(Error::Console)?;
        let intake = Ceiling::new(Intake { input, held: None });
        let inner = pump
            .call_once(|| Arc::new(ConsoleShared { kernel, source, pump: event, intake }))
            .clone();
        line.connect(move |_| go_on()).map_err(Error::Console)?;
        Ok(Self(inner))
    }
}

impl ConsoleShared {
    /// Hands on what there is, a few bytes a section.
    fn pump(&self) {
        while self.source.registrations() > 0 {
            let passed = self.kernel.section(|| {
                let typed = self.next()?;
                match self.source.deliver(typed) {
                    Ok(()) => Some(()),
                    Err(typed) => {
                        self.with(|intake| intake.held = Some(typed));
                        None
                    }
                }
            });
            if passed.is_none() {
                return;
            }
        }
    }

    fn next(&self) -> Option<ConsoleBytes> {
        self.with(|intake| {
            intake.held.take().or_else(|| {
                let mut bytes = [0; HANDED_ON];
                let length = intake.input.take(&mut bytes) as u8;
                (length > 0).then_some(ConsoleBytes { bytes, length })
            })
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Intake) -> R) -> R {
        self.intake.with(&self.kernel, work)
    }
}

impl Kind<Runtime> for Console {
    const NAME: &str = "console";
    type Data = ConsoleBytes;
    type Accumulation = Each<4>;

    fn source(&self) -> &Source<ConsoleBytes> {
        &self.0.source
    }

    fn ready(&self) -> Option<ConsoleBytes> {
        self.0.next()
    }

    /// What has been typed already is handed on.
    fn attached(&self, _: u32) -> Result<(), EventError> {
        self.0.kernel.activate(self.0.pump, 1)
    }
}
