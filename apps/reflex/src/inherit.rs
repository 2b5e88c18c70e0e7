//! Registrations that children inherit (A-3.6.4).

use crate::{Context, Error, EventId, System};
use reflex_event::{Error as EventError, Priority};

impl System {
    /// Makes a registration inheritable: a child that [inherits](crate::ContextBuilder::inherit)
    /// calls `register` with its own handle, to register the like with the same source, bound to
    /// its own state. When `event` has ended it is not inherited any more.
    ///
    /// ```
    /// # use reflex::{prelude::*, testing::Simulation};
    /// # struct Web(u32);
    /// # impl Web {
    /// #     fn tick(&mut self) {
    /// #         self.0 += 1;
    /// #     }
    /// # }
    /// # let mut sim = Simulation::new(|system| {
    /// # let parent = system.context("parent", Web(0)).build()?;
    /// let tick = system.every(secs(1)).on(parent, |web, _| web.tick())?;
    /// system.make_inheritable(tick.event(), move |child: Context<Web>| {
    ///     system.every(secs(1)).on(child, |web, _| web.tick()).map(drop)
    /// })?;
    /// let child = system.context("child", Web(0)).inherit(parent).build()?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # sim.advance(millis(2500));
    /// # for name in ["parent", "child"] {
    /// #     assert_eq!(sim.state(name, |web: &mut Web| web.0), 2);
    /// # }
    /// ```
    ///
    /// # Errors
    /// When `event` has ended, or the global heap is exhausted.
    pub fn make_inheritable<S: 'static>(
        self,
        event: EventId,
        register: impl Fn(Context<S>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        Ok(self.kernel().make_inheritable(event, move |inner| {
            let child = Context { inner, priority: Priority::DEFAULT };
            register(child).map_err(|error| match error {
                Error::Event(error) => error,
                _ => EventError::NotAllowed,
            })
        })?)
    }
}
