//! Values that several contexts share.

use crate::{Context, Error, System};
use reflex_event::Priority;
use reflex_runtime::Mutex;

impl System {
    /// A mutex in the memory of `home`: a value that handlers of events up to the priority `ceiling` share, one at
    /// a time. Nothing spins, and nothing below the ceiling is begun while it is held; so it is locked for as short
    /// a time as possible. A holder that fails poisons it.
    ///
    /// What belongs to one context needs none of this, and contexts that need not share may
    /// [send](System::channel).
    ///
    /// ```
    /// # use reflex::{prelude::*, testing::Simulation};
    /// # let mut sim = Simulation::new(|system| {
    /// let home = system.context("home", 0).build()?;
    /// // The highest priority of those that lock it:
    /// let tally = system.mutex(home, Priority::HIGH, 0_u32)?;
    /// for (name, priority) in [("calm", Priority::LOW), ("eager", Priority::HIGH)] {
    ///     let context = system.context(name, tally.clone()).priority(priority).build()?;
    ///     system.every(secs(1)).on(context, |tally, _| {
    ///         if let Err(error) = tally.lock(|tally| *tally += 1) {
    ///             error!("{error}"); // its holder has failed
    ///         }
    ///     })?;
    /// }
    /// # system.after(millis(3500)).on(home, move |seen, _| *seen = tally.lock(|tally| *tally).unwrap())?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # sim.advance(secs(4));
    /// # assert_eq!(sim.state("home", |seen: &mut u32| *seen), 6);
    /// ```
    ///
    /// # Errors
    /// When the context's memory does not allow it.
    pub fn mutex<S, T: Send + 'static>(
        self,
        home: Context<S>,
        ceiling: Priority,
        value: T,
    ) -> Result<Mutex<T>, Error> {
        Ok(Mutex::new(self.kernel(), home.inner, ceiling, value)?)
    }
}
