//! Calling a route's handler, in its context.

use crate::http::calls::{Calls, Key, Taken};
use crate::http::{Answer, Answered, Call, Incoming, Meta, Request, Respond};
use crate::{Context, Error};
use core::cell::Cell;
use reflex_event::{Borrowed, EventId, EventSystem as _, Kernel, Owner, Registration};
use reflex_memory::Lent;

/// What a handler is called with, beside the memory that it may look at.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A request, which lies there.
    Request(Meta),
    /// Bytes of a body.
    Piece { last: bool },
    /// There is room for the next piece of a reply.
    Room,
}

/// Registers `handler` with `context` for a route's requests.
pub(super) fn attach<S, F, A>(
    calls: &'static Calls,
    route: usize,
    context: Context<S>,
    handler: F,
) -> Result<(), Error>
where
    S: 'static,
    F: Fn(&mut S, &Request<'_>) -> A + Send + 'static,
    A: Respond,
{
    register(calls, route, context, move |state, event| {
        let answer = |key, kind, bytes: &[u8]| {
            // Other calls are of routes in pieces.
            let Kind::Request(meta) = kind else { return Some(Answered::Failed) };
            let is_taken = Cell::new(false);
            let request = Request::new(reflex_http::Request::new(&meta, bytes), key, &is_taken);
            match handler(state, &request).respond() {
                Answer::Now(reply) => Some(Answered::Reply(reply)),
                Answer::Later if is_taken.get() => None,
                // Without a responder there is no later.
                Answer::Later => Some(Answered::Failed),
            }
        };
        step(calls, route, event, answer)
    })
}

/// Registers what takes a route's calls, one each time, for as long as that says that it is to take the next at once.
pub(super) fn register<S: 'static>(
    calls: &'static Calls,
    route: usize,
    context: Context<S>,
    take: impl Fn(&mut S, EventId) -> bool + Send + 'static,
) -> Result<(), Error> {
    let kernel = &calls.kernel;
    kernel.permit(context.id(), "http")?;
    let owner = Owner::of(kernel, context.id())?;
    let registration = Registration { priority: context.priority, ..Registration::default() };
    let event = kernel.register(
        context.inner,
        registration,
        move |state: &mut S, activation| {
            while take(state, activation.event) {}
        },
    )?;
    calls.attach(route, event, owner).inspect_err(|_| {
        // It was registered just now, so that cannot be refused.
        let _ = kernel.unregister(event);
    })
}

/// Gives `handler` a call; true when the next is to be given by this run.
///
/// All but the handler is guarded. Should the context be given up in the handler, the client is told 500.
pub(super) fn step(
    calls: &'static Calls,
    route: usize,
    event: EventId,
    handler: impl FnOnce(Key, Kind, &[u8]) -> Option<Answered>,
) -> bool {
    let told = Cell::new(None);
    calls.kernel.keep(
        || {
            let taken = calls.take(route, event).ok_or(false)?;
            let kind = match &taken.call {
                Call::Request(incoming) => Kind::Request(incoming.meta),
                Call::Piece { last, .. } => Kind::Piece { last: *last },
                Call::Room { .. } => Kind::Room,
            };
            told.set(Some((taken.key, kind)));
            Ok(taken)
        },
        memory,
        give_up,
        |bytes| told.take().and_then(|(key, kind)| handler(key, kind, bytes)),
        |taken, answer| {
            let Taken { key, call, again } = taken;
            drop(call);
            if let Some(answer) = answer {
                // A client that is gone needs none.
                let _ = key.answer(answer);
            }
            again
        },
    )
}

/// What the handler can see of a call.
fn memory(taken: &mut Taken) -> &[u8] {
    match &taken.call {
        Call::Request(incoming) => &incoming.block,
        Call::Piece { block, length, .. } => &block[..*length],
        Call::Room { .. } => &[],
    }
}

/// The handler does not go on.
fn give_up(taken: Taken, borrowed: Borrowed) {
    let Taken { key, call, .. } = taken;
    let _: Result<(), _> = key.answer(Answered::Failed);
    let (Call::Request(Incoming { block, .. }) | Call::Piece { block, .. }) = call else {
        return;
    };
    if borrowed == Borrowed::Quarantined {
        quarantine(key, block);
    }
}

/// The code that looked at the memory may have left pointers to it.
fn quarantine(key: Key, block: Lent<[u8]>) {
    Kernel::quarantine(&key.calls.kernel, block.pool(), block.len());
    Lent::leak(block);
}
