//! Registering a handler with a kind.

use crate::{Accumulate, Delivered, Delivery, Kind, Options};
use reflex_event::{Activation, Context, Error, EventId, Kernel, Priority, Registration};

/// When a registration's handler runs (K-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trigger {
    /// When something occurs.
    #[default]
    Edge,
    /// Also after each run, as long as the kind says that something is [there](Kind::ready).
    Level,
}

/// How a handler is registered with a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// The priority of the handler's runs.
    pub priority: Priority,
    /// When it runs.
    pub trigger: Trigger,
    /// How it is served.
    pub options: Options,
}

/// A registration's bond with its kind. It lies in the registration's handler and so ends with
/// that, whatever ends it.
struct Attachment<K: Kernel, X: Kind<K>> {
    kind: X,
    delivery: Delivery<K, X::Data>,
}

impl<K: Kernel, X: Kind<K>> Attachment<K, X> {
    /// Unties it. Once more does no harm.
    fn end(&self) {
        let source = self.kind.source();
        if source.detach(&self.delivery) || self.delivery.has_left() {
            self.kind.detached(source.registrations());
        }
        self.delivery.close();
    }

    /// Ends the registration, and its bond: here, and not where its handler is dropped, as that is in a section.
    #[cold]
    #[inline(never)]
    fn conclude(&self, kernel: &K, event: EventId) {
        kernel.guarded(|| self.end());
        // When it has been ended already, so much the better.
        let _ = kernel.unregister(event);
    }
}

impl<K: Kernel, X: Kind<K>> Drop for Attachment<K, X> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Registers `handler` with `context`, to be told of what occurs in `kind`, kept as `A` says. What
/// is there already is the first occurrence. The handler is also given the registration and its
/// end of the source.
///
/// # Errors
/// [`Error::Exclusive`]; those of [`Kernel::permit`] and [`Kernel::register`]; what
/// [`Kind::attached`] may say.
pub fn subscribe<K, X, A, S, P, F>(
    kernel: &K,
    context: Context<S>,
    kind: X,
    terms: Terms,
    filter: Option<P>,
    handler: F,
) -> Result<(EventId, Delivery<K, X::Data>), Error>
where
    K: Kernel,
    X: Kind<K>,
    A: Accumulate<X::Data>,
    S: 'static,
    P: Fn(&X::Data) -> bool + Send + 'static,
    F: Fn(&mut S, EventId, &Delivery<K, X::Data>, Delivered<X::Data>) + Send + 'static,
{
    let Terms { priority, trigger, options } = terms;
    kernel.permit(context.id(), X::NAME)?;
    let pool = kernel.pool(context)?;
    let delivery = Delivery::new(kernel, context.id(), pool, A::store(pool)?, options)?;
    if filter.is_some() {
        delivery.set_filter(filter)?;
    }
    let bond = Attachment { kind: kind.clone(), delivery: delivery.clone() };
    let own = kernel.clone();
    let run = move |state: &mut S, activation: Activation| {
        let Attachment { kind, delivery } = &bond;
        let told = delivery.take(activation);
        if matches!(told, Delivered::Nothing) {
            return;
        }
        if options.once {
            bond.conclude(&own, activation.event);
        }
        handler(state, activation.event, delivery, told);
        if trigger == Trigger::Level {
            look(&own, kind, delivery);
        }
    };
    // What is shared with the kind is not to be left half done.
    kernel.guarded(|| {
        let registration = Registration { priority, ..Registration::default() };
        let event = kernel.register(context, registration, run)?;
        delivery.registered(event);
        let attached = kind.source().attach(&delivery, priority);
        attached.and_then(|()| kind.attached(kind.source().registrations())).inspect_err(|_| {
            // It was registered just now.
            let _ = kernel.unregister(event);
        })?;
        look(kernel, &kind, &delivery);
        Ok((event, delivery))
    })
}

/// Delivers what is there, if nothing is on its way.
#[inline(never)]
fn look<K: Kernel, X: Kind<K>>(kernel: &K, kind: &X, delivery: &Delivery<K, X::Data>) {
    // In a section: nobody else delivers what comes after it, before it.
    kernel.section(|| {
        if delivery.is_idle()
            && let Some(data) = kind.ready()
        {
            // There is room, as nothing waits.
            let _ = delivery.deliver(data, 1);
        }
    });
}
