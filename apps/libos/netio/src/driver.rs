//! What an endpoint's handlers do: they hand over what has come, and tell what has happened.

use crate::Error;
use crate::endpoint_core::{Core, End};
use crate::event::{Down, Event, Role};
use crate::link::{Link, LinkId};
use crate::record::{Kind, Malformed, Record, Records};
use crate::shared::{Shared, refusal};
use crate::state::State;
use crate::stream::Stream;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::marker::PhantomData;
use reflex_event::Kernel;

/// Most events told in one run: then others of the same priority have their turn.
const BATCH: usize = 32;

/// The handler, and what it is told of. Copies are of the same.
pub(crate) struct Driver<K: Kernel, S, H> {
    pub(crate) shared: Arc<Shared<K>>,
    handler: Arc<H>,
    state: PhantomData<fn(&mut S)>,
}

/// As it is kept by what is kept by the endpoint itself.
pub(crate) struct WeakDriver<K: Kernel, S, H> {
    shared: Weak<Shared<K>>,
    handler: Arc<H>,
    state: PhantomData<fn(&mut S)>,
}

impl<K: Kernel, S, H> Clone for Driver<K, S, H> {
    fn clone(&self) -> Self {
        let Self { shared, handler, .. } = self;
        Self { shared: shared.clone(), handler: handler.clone(), state: PhantomData }
    }
}

impl<K: Kernel, S, H> Clone for WeakDriver<K, S, H> {
    fn clone(&self) -> Self {
        let Self { shared, handler, .. } = self;
        Self { shared: shared.clone(), handler: handler.clone(), state: PhantomData }
    }
}

impl<K: Kernel, S, H> WeakDriver<K, S, H> {
    pub(crate) fn upgrade(&self) -> Option<Driver<K, S, H>> {
        let shared = self.shared.upgrade()?;
        Some(Driver { shared, handler: self.handler.clone(), state: PhantomData })
    }
}

impl<K: Kernel, S: 'static, H: Fn(&mut S, Event<'_>)> Driver<K, S, H> {
    pub(crate) fn new(shared: Arc<Shared<K>>, handler: H) -> Self {
        Self { shared, handler: Arc::new(handler), state: PhantomData }
    }

    pub(crate) fn downgrade(&self) -> WeakDriver<K, S, H> {
        let shared = Arc::downgrade(&self.shared);
        WeakDriver { shared, handler: self.handler.clone(), state: PhantomData }
    }

    /// Notes something, does what it leads to, and tells what there is to tell.
    pub(crate) fn handle<R>(&self, state: &mut S, work: impl FnOnce(&mut Core) -> R) -> R {
        let result = self.shared.kernel.guarded(|| {
            let result = self.shared.with(work);
            self.shared.run();
            result
        });
        self.tell(state);
        result
    }

    /// Tells what there is to tell.
    pub(crate) fn tell(&self, state: &mut S) {
        for _ in 0..BATCH {
            let Some(event) = self.shared.with(|core| core.events.pop_front()) else { return };
            (self.handler)(state, event);
        }
        self.shared.tell_later();
    }

    /// A connection has come to a listening port, or to a publisher: `make` makes what it is of the name it gets.
    pub(crate) fn accept(
        &self,
        state: &mut S,
        (role, publisher): (Role, usize),
        make: impl FnOnce(LinkId) -> Result<Box<dyn Link>, Error>,
    ) -> Option<LinkId> {
        let fresh = State::new(role, None, publisher, &self.shared.settings);
        let link = self.handle(state, |core| core.reserve(fresh)).ok()?;
        let made = self.shared.kernel.guarded(|| {
            let out = self.shared.outgoing()?;
            Ok((make(link)?, out))
        });
        let made = made.map_err(refusal);
        let went = made.is_ok();
        self.handle(state, |core| core.installed(link, made));
        went.then_some(link)
    }

    /// A record has come. False if nothing more is wanted of that connection.
    #[inline]
    fn deliver(&self, state: &mut S, link: LinkId, record: &Record<'_>) -> bool {
        if record.kind != Kind::Message {
            return self.handle(state, |core| core.control(link, record));
        }
        match self.shared.with(|core| core.message(link)) {
            Some(socket) => {
                let Record { tag, payload: bytes, .. } = *record;
                (self.handler)(state, Event::Message { socket, tag, bytes });
                true
            }
            None => {
                self.handle(state, |_| ());
                false
            }
        }
    }

    /// What has come makes no sense.
    fn malformed(&self, state: &mut S, link: LinkId, what: Malformed) {
        self.handle(state, |core| core.lost(link, End::Down(Down::Malformed(what))));
    }

    /// A page has come: whole records.
    pub(crate) fn page(&self, state: &mut S, link: LinkId, bytes: &[u8]) {
        let mut records = Records::new(bytes, self.shared.settings.page as usize);
        loop {
            match records.next_whole() {
                Ok(Some(record)) => {
                    if !self.deliver(state, link, &record) {
                        return;
                    }
                }
                Ok(None) if records.rest().is_empty() => return,
                Ok(None) => return self.malformed(state, link, Malformed::Length),
                Err(what) => return self.malformed(state, link, what),
            }
        }
    }

    /// Bytes of a stream have come: all of them are taken. Records are read where they are, but one that goes on in
    /// what comes later, which is put together in `stream`.
    pub(crate) fn bytes(&self, state: &mut S, link: LinkId, stream: &mut Stream, bytes: &[u8]) {
        let limit = self.shared.settings.page as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            if stream.is_empty() {
                let mut records = Records::new(rest, limit);
                match records.next_whole() {
                    Err(what) => return self.malformed(state, link, what),
                    Ok(Some(record)) => {
                        rest = records.rest();
                        if !self.deliver(state, link, &record) {
                            return;
                        }
                        continue;
                    }
                    Ok(None) => {}
                }
            }
            match stream.take(rest) {
                Err(what) => return self.malformed(state, link, what),
                Ok(taken) => rest = &rest[taken..],
            }
            if let Some(record) = stream.record() {
                let goes_on = self.deliver(state, link, &record);
                stream.clear();
                if !goes_on {
                    return;
                }
            }
        }
    }
}
