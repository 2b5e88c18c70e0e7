//! Calling a route's handler, in its context.

use crate::http::calls::{Calls, Key, Taken};
use crate::http::{Answer, Answered, Call, Request, Respond};
use crate::{Context, Error};
use core::cell::Cell;
use reflex_event::{Borrowed, EventSystem as _, Kernel, Owner, Registration};
use reflex_memory::Lent;

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
    let kernel = &calls.kernel;
    kernel.permit(context.id(), "http")?;
    let owner = Owner::of(kernel, context.id())?;
    let registration = Registration { priority: context.priority, ..Registration::default() };
    let event =
        kernel.register(context.inner, registration, move |state: &mut S, activation| {
            while step(calls, route, activation.event, |request| handler(state, request).respond())
            {
            }
        })?;
    calls.attach(route, event, owner).inspect_err(|_| {
        // It was registered just now, so that cannot be refused.
        let _ = kernel.unregister(event);
    })
}

/// Gives `handler` a request; true when the next is to be given by this run.
///
/// All but the handler is guarded. Should the context be given up in the handler, the client is told 500.
fn step(
    calls: &'static Calls,
    route: usize,
    event: reflex_event::EventId,
    handler: impl FnOnce(&Request<'_>) -> Answer,
) -> bool {
    let (key, meta) = (Cell::new(None), Cell::new(None));
    calls.kernel.keep(
        || {
            let taken = calls.take(route, event).ok_or(false)?;
            key.set(Some(taken.key));
            if let Call::Request(incoming) = &taken.call {
                meta.set(Some(incoming.meta));
            }
            Ok(taken)
        },
        memory,
        give_up,
        |bytes| {
            let (Some(key), Some(meta)) = (key.take(), meta.take()) else { return None };
            let is_taken = Cell::new(false);
            let request = Request::new(reflex_http::Request::new(&meta, bytes), key, &is_taken);
            match handler(&request) {
                Answer::Now(reply) => Some(Answered::Reply(reply)),
                Answer::Later if is_taken.get() => None,
                // Without a responder there is no later.
                Answer::Later => Some(Answered::Failed),
            }
        },
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
    let (Call::Request(crate::http::Incoming { block, .. }) | Call::Piece { block, .. }) = call
    else {
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
