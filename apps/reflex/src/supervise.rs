//! Contexts that may fail: restarted, given up, or supervised by another one's handler.
//!
//! What goes wrong in a handler of such a context (a panic, a processor exception, a stack
//! overflow, a run longer than its time budget) ends that context and nothing else.

use crate::{Context, ContextBuilder, Error, Registered, System};
use reflex_boot::exit;
use reflex_event::{ContextId, EventSystem as Kernel, Registration};

pub use crate::context_builder::{Constructed, Given, Made, On};
pub use crate::setup::Setup;
pub use reflex_memory::{Own, PoolBox};
pub use reflex_runtime::report::Reason;
pub use reflex_runtime::supervise::{Backoff, OnFailure, Stopped};

/// What a supervisor wants done about a context that has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is restarted after its back-off.
    Restart,
    /// It stays as it is: down, or to be restarted if it was made so.
    Ignore,
    /// The image ends.
    Halt,
}

impl System {
    /// A context called `name` with a state that `constructor` makes: now, and again whenever it
    /// has failed. The constructor runs in the context itself; there it registers the context's
    /// handlers, and has the right to boxes of the context's own. So the state need not be `Send`.
    ///
    /// A handler that fails ends the context's present life: its registrations end, its own boxes
    /// are taken back, its connections are reset, its ports closed. After a while the next life
    /// begins with the constructor. Handlers that others register with the context end like its
    /// own, and are not registered again.
    ///
    /// ```
    /// # use reflex::{prelude::*, testing::Simulation};
    /// struct Web {
    ///     visitors: reflex::collections::Vec<u32>, // in the context's own memory
    /// }
    /// # impl TcpService for Web {
    /// #     fn accepted(&mut self, connection: &Connection) {
    /// #         assert!(self.visitors.len() < 2, "so many visitors were not foreseen");
    /// #         self.visitors.push(7);
    /// #         connection.write(b"Good day.\n");
    /// #     }
    /// #     fn received(&mut self, _: &Connection) {}
    /// # }
    ///
    /// # let mut sim = Simulation::new(|system| {
    /// system
    ///     .context_with("web", move |setup| {
    ///         system.tcp(80).serve(setup.context())?;
    ///         Ok::<_, Error>(Web { visitors: setup.memory().vec() })
    ///     })
    ///     .build()?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # for greeted in [true, true, false] {
    /// #     let client = sim.connect(80);
    /// #     sim.run();
    /// #     assert_eq!((client.is_open(), client.is_reset()), (greeted, !greeted));
    /// # }
    /// # sim.advance(secs(10)); // its next life has begun
    /// # let client = sim.connect(80);
    /// # sim.run();
    /// # assert_eq!(client.received(), b"Good day.\n");
    /// ```
    pub fn context_with<S, C, E>(
        self,
        name: &'static str,
        constructor: C,
    ) -> ContextBuilder<S, Constructed<C>>
    where
        S: 'static,
        C: Fn(Setup<'_, S>) -> Result<S, E> + Send + Sync + 'static,
    {
        ContextBuilder::with(self.kernel(), name, constructor).configured(self)
    }

    /// From now on `handler`, which runs in `supervisor`, is told of each failure of `context` once
    /// everything has been cleaned up, and says what is to be done; also of one before this call,
    /// if no supervisor has been told. The supervisor's context is told of trouble of the kind
    /// [`HandlerStopped`](crate::Trouble::HandlerStopped), too.
    ///
    /// When a supervisor that is itself restarted calls this again in its constructor, nothing it
    /// is to be told is lost.
    ///
    /// # Errors
    /// When the failure of the context is the image's, or memory does not allow it.
    pub fn supervise<S, F>(
        self,
        context: ContextId,
        supervisor: Context<S>,
        handler: F,
    ) -> Result<Registered, Error>
    where
        S: 'static,
        F: Fn(&mut S, &Stopped) -> Verdict + Send + 'static,
    {
        let kernel = self.kernel();
        let registration =
            Registration { priority: supervisor.priority, ..Registration::default() };
        let event = kernel.register(supervisor.inner, registration, move |state, _| {
            let Ok(stopped) = kernel.stopped(context) else { return };
            match handler(state, &stopped) {
                Verdict::Ignore => {}
                // It may have been restarted already, or cannot be.
                Verdict::Restart => drop(kernel.restart(context)),
                Verdict::Halt => exit::fail(
                    exit::PANIC,
                    format_args!("halted by the supervisor of \"{}\"", stopped.name),
                ),
            }
        })?;
        if let Err(error) = kernel.watch(context, event) {
            kernel.unregister(event)?;
            return Err(error.into());
        }
        Ok(Registered::new(kernel, event))
    }

    /// Gives a context up as if it had failed.
    ///
    /// # Errors
    /// When its failure is the image's.
    pub fn give_up(self, context: ContextId) -> Result<(), Error> {
        Ok(self.kernel().give_up(context)?)
    }

    /// Restarts a context that is down, after its back-off.
    ///
    /// # Errors
    /// When it is not down, or has no constructor.
    pub fn restart(self, context: ContextId) -> Result<(), Error> {
        Ok(self.kernel().restart(context)?)
    }

    /// The last failure of a context; an error when it has not failed.
    ///
    /// # Errors
    /// As said.
    pub fn stopped(self, context: ContextId) -> Result<Stopped, Error> {
        Ok(self.kernel().stopped(context)?)
    }

    /// Runs `work` with the right to boxes of the calling context's own.
    ///
    /// # Errors
    /// When no context calls.
    pub fn own<R>(self, work: impl for<'run> FnOnce(Own<'run>) -> R) -> Result<R, Error> {
        Ok(self.kernel().own(work)?)
    }
}
