//! Registering handlers with any kind of event.

use crate::kind::Kind;
use crate::{Context, Error, Priority, Registered, Runtime, System};
use core::marker::PhantomData;
use core::time::Duration;
use reflex_kind::{
    Accumulate, Counted, Delivered, Delivery, Each, Latest, Options, Shortage, Terms, Trigger,
    subscribe,
};

/// What a handler is told: something has occurred.
pub struct Event<'a, T: Send + 'static, D = T> {
    /// What there is to know of it; of the last occurrence, if there were several.
    pub data: D,
    /// Occurrences this run stands for.
    pub count: u32,
    pub(crate) delivery: &'a Delivery<Runtime, T>,
    pub(crate) kernel: Runtime,
}

impl<T: Send + 'static, D> Event<'_, T, D> {
    /// The registration, for control: also from here, its own handler.
    pub fn registration(&self) -> Registered<T> {
        Registered::with_data(self.kernel, self.delivery.clone())
    }
}

/// What a handler is told of an event that is given a time to occur in.
pub enum InTime<'a, T: Send + 'static, D = T> {
    /// It has occurred.
    Occurred(Event<'a, T, D>),
    /// It has not occurred in time.
    TimedOut(Registered<T>),
}

/// A handler about to be registered with a kind of event; see [`System::subscribe`]. `A` is what
/// becomes of occurrences that pile up, `P` the filter.
#[must_use = "nothing is registered before `on` or `submit`"]
pub struct Subscription<X: Kind<Runtime>, A, P = fn(&<X as Kind<Runtime>>::Data) -> bool> {
    system: System,
    kind: X,
    priority: Option<Priority>,
    trigger: Trigger,
    options: Options,
    always_queue: bool,
    filter: Option<P>,
    accumulation: PhantomData<fn() -> A>,
}

/// What a registration of kind `X` that accumulates as `A` tells of an occurrence's data.
type Data<X, A> = <A as Accumulate<<X as Kind<Runtime>>::Data>>::Payload;

impl System {
    /// Prepares to register a handler with a kind of event.
    pub fn subscribe<X: Kind<Runtime>>(self, kind: X) -> Subscription<X, X::Accumulation> {
        Subscription {
            system: self,
            kind,
            priority: None,
            trigger: Trigger::Edge,
            options: Options::default(),
            always_queue: false,
            filter: None,
            accumulation: PhantomData,
        }
    }
}

impl<X: Kind<Runtime>, A: Accumulate<X::Data>, P> Subscription<X, A, P>
where
    P: Fn(&X::Data) -> bool + Send + 'static,
{
    /// The priority of the handler's runs; the context's unless said here.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// Occurrences are only counted.
    pub fn counted(self) -> Subscription<X, Counted, P> {
        self.accumulating()
    }

    /// Occurrences are counted, and the data of the last is kept.
    pub fn latest(self) -> Subscription<X, Latest, P> {
        self.accumulating()
    }

    /// Up to `N` occurrences wait for the handler, which runs once for each; when there are more,
    /// the source is held up, unless [`shortage`](Self::shortage) says otherwise.
    pub fn each<const N: usize>(self) -> Subscription<X, Each<N>, P> {
        self.accumulating()
    }

    fn accumulating<B>(self) -> Subscription<X, B, P> {
        let Self { system, kind, priority, trigger, options, always_queue, filter, .. } = self;
        Subscription {
            system,
            kind,
            priority,
            trigger,
            options,
            always_queue,
            filter,
            accumulation: PhantomData,
        }
    }

    /// Only occurrences count for which `filter` says so, by their data. It is asked where the
    /// event is activated, with dispatch deferred: it is to be short. What goes wrong in it is the
    /// failure of the handler's context, as with [`Runtime::filter`](crate::Runtime::filter), and
    /// then the data is forgotten.
    pub fn filter<F>(self, filter: F) -> Subscription<X, A, F>
    where
        F: Fn(&X::Data) -> bool + Send + 'static,
    {
        let Self { system, kind, priority, trigger, options, always_queue, .. } = self;
        Subscription {
            system,
            kind,
            priority,
            trigger,
            options,
            always_queue,
            filter: Some(filter),
            accumulation: PhantomData,
        }
    }

    /// The handler runs once, and then the registration has ended.
    pub fn once(mut self) -> Self {
        self.options.once = true;
        self
    }

    /// The handler runs again as long as what it is told of is there: as a wire that is sensed by
    /// level, not by edges.
    pub fn level(self) -> Self {
        Self { trigger: Trigger::Level, ..self }
    }

    /// What to do about occurrences that find no room; see [`each`](Self::each).
    pub fn shortage(mut self, shortage: Shortage) -> Self {
        self.options.shortage = shortage;
        self
    }

    /// Has the handler told even of what is ready when the operation is
    /// [submitted](Self::submit).
    pub fn always_queue(self) -> Self {
        Self { always_queue: true, ..self }
    }

    /// When nothing occurs within `time`, from now on and from each run on, the handler is told
    /// so. After that the time begins anew with the next occurrence.
    pub fn within(self, time: Duration) -> Within<X, A, P> {
        Within { subscription: self, time }
    }

    /// Registers `handler` with `context`. What is there already is the first occurrence.
    ///
    /// # Errors
    /// [`EventError::Exclusive`](crate::EventError::Exclusive) when there is a registration already
    /// and the kind goes to one only; others when memory, a table or a limit does not allow one
    /// more.
    pub fn on<S, F>(self, context: Context<S>, handler: F) -> Result<Registered<X::Data>, Error>
    where
        S: 'static,
        F: Fn(&mut S, Event<'_, X::Data, Data<X, A>>) + Send + 'static,
    {
        self.install(context, move |state: &mut S, told: InTime<'_, _, _>| {
            if let InTime::Occurred(event) = told {
                handler(state, event);
            }
        })
    }

    /// Begins an operation: waits for the next occurrence. When it is there already, that is the
    /// answer, and `handler` is not registered; else it runs once.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    pub fn submit<S, F>(self, context: Context<S>, handler: F) -> Result<Submission<X::Data>, Error>
    where
        S: 'static,
        F: Fn(&mut S, Event<'_, X::Data, Data<X, A>>) + Send + 'static,
    {
        if !self.always_queue
            && let Some(data) = self.ready()
        {
            return Ok(Submission::Ready(data));
        }
        self.once().on(context, handler).map(Submission::Pending)
    }

    /// What there is for the taking, if it counts and may be taken.
    fn ready(&self) -> Option<X::Data> {
        let source = self.kind.source();
        let taken = source.sharing() == reflex_kind::Sharing::Exclusive;
        if taken && source.registrations() > 0 {
            return None;
        }
        let data = self.kind.ready()?;
        self.filter.as_ref().is_none_or(|filter| filter(&data)).then_some(data)
    }

    fn install<S, F>(self, context: Context<S>, handler: F) -> Result<Registered<X::Data>, Error>
    where
        S: 'static,
        F: Fn(&mut S, InTime<'_, X::Data, Data<X, A>>) + Send + 'static,
    {
        let Self { system, kind, priority, trigger, options, filter, .. } = self;
        let kernel = system.kernel();
        let priority = priority.unwrap_or(context.priority);
        let terms = Terms { priority, trigger, options };
        let run =
            move |state: &mut S, _, delivery: &Delivery<Runtime, X::Data>, told: Delivered<_>| {
                let told = match told {
                    Delivered::Occurred(data, count) => {
                        let Some(data) = A::payload(data) else { return };
                        InTime::Occurred(Event { data, count, delivery, kernel })
                    }
                    _ => InTime::TimedOut(Registered::with_data(kernel, delivery.clone())),
                };
                handler(state, told);
            };
        let (_, delivery) =
            subscribe::<_, X, A, _, _, _>(&kernel, context.inner, kind, terms, filter, run)?;
        Ok(Registered::with_data(kernel, delivery))
    }
}

/// What became of an operation that was submitted.
pub enum Submission<T: Send + 'static> {
    /// It is done: this is its result.
    Ready(T),
    /// The handler will be told; until then it can be [cancelled](Registered::cancel).
    Pending(Registered<T>),
}

/// A handler about to be registered that is told also when nothing occurs in time.
#[must_use = "nothing is registered before `on`"]
pub struct Within<X: Kind<Runtime>, A, P> {
    subscription: Subscription<X, A, P>,
    time: Duration,
}

impl<X: Kind<Runtime>, A: Accumulate<X::Data>, P> Within<X, A, P>
where
    P: Fn(&X::Data) -> bool + Send + 'static,
{
    /// Registers `handler` with `context`.
    ///
    /// # Errors
    /// As [`Subscription::on`].
    pub fn on<S, F>(self, context: Context<S>, handler: F) -> Result<Registered<X::Data>, Error>
    where
        S: 'static,
        F: Fn(&mut S, InTime<'_, X::Data, Data<X, A>>) + Send + 'static,
    {
        let subscribed = self.subscription.install(context, handler)?;
        subscribed.set_time_out(Some(self.time)).inspect_err(|_| {
            // It was registered just now.
            let _ = subscribed.unregister();
        })?;
        Ok(subscribed)
    }
}
