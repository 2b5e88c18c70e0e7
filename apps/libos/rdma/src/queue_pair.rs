//! Queue pairs, as applications have them.

use crate::shared::{Posted, QpShared, Sends, number};
use crate::table::Handle;
use crate::work::{Phase, ReceiveWork, SendWork, Tag};
use crate::{
    Access, Error, Event, PairCounters, Peer, Rdma, ReceiveRequest, Refused, SendRequest, Transport,
};
use alloc::boxed::Box;
use reflex_event::{Accumulation, Context, Kernel, Priority, Registration};
use reflex_rdma_device::{SgList, Sge};
use reflex_rdma_engine::{Domain, Flags, MAX_MESSAGE, Work};
use reflex_rdma_wire::Qpn;

/// A queue pair. It is taken down when this is dropped; what was in flight completes as flushed.
pub struct QueuePair<K: Kernel> {
    pub(crate) rdma: Rdma<K>,
    pub(crate) handle: Handle,
    pub(crate) transport: Transport,
    domain: Domain,
}

impl<K: Kernel> QueuePair<K> {
    pub(crate) fn new(rdma: Rdma<K>, handle: Handle, transport: Transport, domain: Domain) -> Self {
        Self { rdma, handle, transport, domain }
    }

    /// The number by which packets name it. Queue pairs that are gone may have had the same.
    pub fn number(&self) -> Qpn {
        number(self.handle)
    }

    /// Posts work to the send queue: it is done in order, and its completion returns its memory.
    ///
    /// # Errors
    /// The work, with [`Error::NotReady`], [`Error::QueueFull`], [`Error::OtherDomain`],
    /// [`Error::Unsupported`], [`Error::TooLong`], [`Error::BadParameter`], [`Error::NoAddress`],
    /// [`Error::Gone`].
    #[expect(clippy::result_large_err, reason = "what was refused goes back as it came")]
    pub fn post_send(&self, send: SendRequest) -> Result<(), Refused<SendRequest>> {
        self.rdma.0.kernel.guarded(|| {
            if let Err(error) = self.check(&send) {
                return Err(Refused { error, work: send });
            }
            let SendRequest { id, work, flags, to, sges } = send;
            let tag = Tag { id, signalled: flags.contains(Flags::SIGNALLED) };
            let work = SendWork { tag, work, flags, to, sges };
            let posted = self.post(work, |entry| {
                if matches!(entry.phase, Phase::Fresh | Phase::Connecting) {
                    return Err(Error::NotReady);
                }
                Ok((&mut entry.sends, true))
            });
            posted.map_err(|(error, SendWork { work, flags, to, sges, .. })| Refused {
                error,
                work: SendRequest { id, work, flags, to, sges },
            })
        })
    }

    /// Posts a receive: messages take receives in order, and the completion returns the memory.
    ///
    /// # Errors
    /// The receive, with [`Error::QueueFull`], [`Error::OtherDomain`], [`Error::Gone`], or
    /// [`Error::Unsupported`] when receives come from a shared queue.
    pub fn post_receive(&self, receive: ReceiveRequest) -> Result<(), Refused<ReceiveRequest>> {
        self.rdma.0.kernel.guarded(|| {
            if let Err(error) = self.check_parts(&receive.sges, Access::LOCAL_WRITE) {
                return Err(Refused { error, work: receive });
            }
            let ReceiveRequest { id, sges } = receive;
            let posted = self.post(ReceiveWork { id, sges }, |entry| {
                if entry.shared.is_some() {
                    return Err(Error::Unsupported);
                }
                // The port looks for it when a packet comes, and otherwise only to flush it.
                let wanted = entry.phase == Phase::Failed;
                Ok((&mut entry.receives, wanted))
            });
            posted.map_err(|(error, ReceiveWork { id, sges })| Refused {
                error,
                work: ReceiveRequest { id, sges },
            })
        })
    }

    /// Appends work to the queue that `find` chooses, which also says whether the port is to look
    /// for it now; the work when it is refused. To be called guarded.
    #[inline]
    fn post<W>(
        &self,
        work: W,
        find: impl FnOnce(&mut QpShared) -> Result<(&mut Posted<W>, bool), Error>,
    ) -> Result<(), (Error, W)> {
        let inner = &self.rdma.0;
        let mut work = Some(work);
        let posted = inner.with(|shared| {
            let entry = shared.pair(self.handle)?;
            let (queue, wanted) = find(entry)?;
            if let Some(taken) = work.take() {
                queue.push(taken).map_err(|back| {
                    work = Some(back);
                    Error::QueueFull
                })?;
            }
            Ok(if wanted { entry.want() } else { None })
        });
        match (posted, work) {
            (Err(error), Some(work)) => Err((error, work)),
            (posted, _) => {
                posted.ok().flatten().into_iter().for_each(|event| inner.activate(event));
                Ok(())
            }
        }
    }

    fn check(&self, send: &SendRequest) -> Result<(), Error> {
        let datagram = self.transport == Transport::Datagram;
        let atomic = matches!(send.work, Work::CompareSwap { .. } | Work::FetchAdd { .. });
        let supported = match send.work {
            Work::Send(attachment) => {
                let invalidates = matches!(attachment, crate::Attachment::Invalidate(_));
                !invalidates || self.transport == Transport::Reliable
            }
            Work::Write { .. } => !datagram,
            _ => self.transport == Transport::Reliable,
        };
        if !supported || send.to.is_some() != datagram {
            return Err(Error::Unsupported);
        }
        if atomic && send.length() != size_of::<u64>() {
            return Err(Error::BadParameter);
        }
        let most = if datagram { self.rdma.0.mtu.bytes() } else { MAX_MESSAGE as usize };
        if send.length() > most {
            return Err(Error::TooLong);
        }
        if let Some(to) = send.to {
            self.rdma.0.local(to.to).ok_or(Error::NoAddress)?;
        }
        self.check_parts(&send.sges, send.access())
    }

    fn check_parts(&self, sges: &SgList, access: Access) -> Result<(), Error> {
        for sge in sges {
            if let Sge::Region(segment) = sge {
                let permitted = self
                    .rdma
                    .0
                    .with(|shared| shared.regions.permits(segment.region, self.domain, access));
                if !permitted {
                    return Err(Error::OtherDomain);
                }
            }
        }
        Ok(())
    }

    /// Takes up work with a peer that is known by other means than a connection manager: from now on
    /// sends may be posted.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for datagrams, which need no peer; [`Error::NotReady`] when it has one
    /// or has failed, [`Error::BadParameter`], [`Error::NoAddress`], [`Error::Gone`].
    pub fn establish(&self, peer: Peer) -> Result<(), Error> {
        peer.check(self.rdma.0.mtu)?;
        if self.transport == Transport::Datagram {
            return Err(Error::Unsupported);
        }
        self.rdma.0.local(peer.address).ok_or(Error::NoAddress)?;
        let peer = Box::new(peer);
        self.wish(|entry| {
            if entry.phase != Phase::Fresh {
                return Err(Error::NotReady);
            }
            entry.phase = Phase::Ready;
            entry.requests.peer = Some(peer);
            Ok(())
        })
    }

    /// Takes the queue pair down: whatever was posted, and will be, completes as flushed.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn fail(&self) -> Result<(), Error> {
        self.wish(|entry| {
            entry.requests.fail = true;
            Ok(())
        })
    }

    /// Begins no more sends (the state SQD). What has begun comes to its end, of which
    /// [`Event::SendQueueDrained`] tells by [`on_event`](Self::on_event); what is posted waits until
    /// [`resume`](Self::resume). Nothing becomes of it before the queue pair has a peer.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn drain(&self) -> Result<(), Error> {
        self.wish(|entry| {
            entry.requests.sends = Some(Sends::Drain);
            Ok(())
        })
    }

    /// Has sends done again: those that wait since they were [to drain](Self::drain), and those that are posted
    /// from now on, after one could not be done on this side, as when its region was gone: then those behind it
    /// are flushed, and over reliable connections the whole queue pair has failed, which stays so.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn resume(&self) -> Result<(), Error> {
        self.wish(|entry| {
            entry.requests.sends = Some(Sends::Resume);
            Ok(())
        })
    }

    /// Has the port look after what `wish` asks for.
    fn wish(&self, wish: impl FnOnce(&mut QpShared) -> Result<(), Error>) -> Result<(), Error> {
        let inner = &self.rdma.0;
        inner.kernel.guarded(|| {
            let event = inner.with(|shared| {
                let entry = shared.pair(self.handle)?;
                wish(entry)?;
                Ok::<_, Error>(entry.want())
            })?;
            event.into_iter().for_each(|event| inner.activate(event));
            Ok(())
        })
    }

    /// What it has counted: what was refused, by reason, and what had to be tried again. As of the
    /// last time that it had something to do.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn counters(&self) -> Result<PairCounters, Error> {
        self.rdma.0.with(|shared| Ok(shared.pair(self.handle)?.counters.clone()))
    }

    /// Has `handler` told of what happens to it that no completion tells, and has happened. There is
    /// one handler at a time, the one named last, as long as the queue pair is there.
    ///
    /// # Errors
    /// [`Error::Event`], [`Error::Gone`].
    pub fn on_event<S: 'static>(
        &self,
        context: impl Into<Context<S>>,
        priority: Priority,
        handler: impl Fn(&mut S, Event) + Send + 'static,
    ) -> Result<(), Error> {
        let (rdma, handle) = (self.rdma.clone(), self.handle);
        let registration = Registration { priority, accumulation: Accumulation::Count };
        let inner = &self.rdma.0;
        let kernel = &inner.kernel;
        kernel.guarded(|| {
            let event =
                kernel.register(context.into(), registration, move |state: &mut S, _| {
                    let next =
                        || rdma.0.with(|shared| shared.pair(handle).ok()?.happened.pop_front());
                    while let Some(event) = next() {
                        handler(state, event);
                    }
                })?;
            let before = inner.with(|shared| {
                let entry = shared.pair(self.handle)?;
                Ok::<_, Error>((entry.told.replace(event), !entry.happened.is_empty()))
            });
            match before {
                Ok((before, happened)) => {
                    before.into_iter().for_each(|before| inner.unregister(before));
                    if happened {
                        inner.activate(event);
                    }
                    Ok(())
                }
                Err(error) => {
                    inner.unregister(event);
                    Err(error)
                }
            }
        })
    }
}

impl<K: Kernel> Drop for QueuePair<K> {
    fn drop(&mut self) {
        // It may be gone already, with its context.
        let _ = self.wish(|entry| {
            entry.requests.destroy = true;
            Ok(())
        });
    }
}
