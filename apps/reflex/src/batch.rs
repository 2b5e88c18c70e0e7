//! Several operations submitted together (K-5).

use crate::kind::{Accumulate, Kind};
use crate::{Context, Error, Event, Runtime, Submission, Subscription, System};

/// An operation that can be submitted; made by [`Subscription::prepare`].
pub trait Operation {
    /// What it results in.
    type Data: Send + 'static;

    /// Begins it; see [`Subscription::submit`].
    ///
    /// # Errors
    /// As [`Subscription::submit`].
    fn submit(self) -> Result<Submission<Self::Data>, Error>;
}

/// Operations that are submitted together: an array, or a tuple of up to six.
pub trait Batch {
    /// What became of each.
    type Results;

    /// Submits them in order, and adds to `ready` how many were done at once.
    fn submit(self, ready: &mut usize) -> Self::Results;
}

/// What became of operations that were submitted together.
#[must_use = "what was ready is told here and nowhere else"]
pub struct Submitted<R> {
    /// How many were done at once.
    pub ready: usize,
    /// What became of each, in order. Those that are pending can be
    /// [cancelled](crate::Registered::cancel).
    pub results: R,
}

impl System {
    /// Submits several operations.
    pub fn submit<B: Batch>(self, operations: B) -> Submitted<B::Results> {
        let mut ready = 0;
        let results = operations.submit(&mut ready);
        Submitted { ready, results }
    }
}

/// An operation about to be submitted.
#[must_use = "nothing has begun before it is submitted"]
pub struct Prepared<X: Kind<Runtime>, A, P, S, F> {
    subscription: Subscription<X, A, P>,
    context: Context<S>,
    handler: F,
}

impl<X: Kind<Runtime>, A: Accumulate<X::Data>, P> Subscription<X, A, P>
where
    P: Fn(&X::Data) -> bool + Send + 'static,
{
    /// Prepares what [`submit`](Self::submit) does, for a [batch](System::submit).
    pub fn prepare<S, F>(self, context: Context<S>, handler: F) -> Prepared<X, A, P, S, F>
    where
        S: 'static,
        F: Fn(&mut S, Event<'_, X::Data, A::Payload>) + Send + 'static,
    {
        Prepared { subscription: self, context, handler }
    }
}

impl<X, A, P, S, F> Operation for Prepared<X, A, P, S, F>
where
    X: Kind<Runtime>,
    A: Accumulate<X::Data>,
    P: Fn(&X::Data) -> bool + Send + 'static,
    S: 'static,
    F: Fn(&mut S, Event<'_, X::Data, A::Payload>) + Send + 'static,
{
    type Data = X::Data;

    fn submit(self) -> Result<Submission<X::Data>, Error> {
        self.subscription.submit(self.context, self.handler)
    }
}

fn count<T: Send + 'static>(
    result: Result<Submission<T>, Error>,
    ready: &mut usize,
) -> Result<Submission<T>, Error> {
    *ready += usize::from(matches!(result, Ok(Submission::Ready(_))));
    result
}

impl<O: Operation, const N: usize> Batch for [O; N] {
    type Results = [Result<Submission<O::Data>, Error>; N];

    fn submit(self, ready: &mut usize) -> Self::Results {
        self.map(|operation| count(operation.submit(), ready))
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))+) => { $(
        impl<$($name: Operation),+> Batch for ($($name,)+) {
            type Results = ($(Result<Submission<$name::Data>, Error>,)+);

            #[allow(non_snake_case, reason = "a value is called as its type")]
            fn submit(self, ready: &mut usize) -> Self::Results {
                let ($($name,)+) = self;
                ($(count($name.submit(), ready),)+)
            }
        }
    )+ };
}

tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }
