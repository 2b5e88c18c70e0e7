//! What a connection sends: pages that are filled, those that wait for their turn, and those under way.
//!
//! ```text
//!  free --begin--> in hand --finish--> filling --full, flushed--> ready --next--> under way --returned--> free
//!                     ^------ begin ------'
//! ```

use crate::error::Error;
use crate::link::Parcel;
use crate::page::Page;
use crate::record::HEADER;
use crate::settings::Settings;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use reflex_memory::{Lent, Pool};

/// What is under way, in the order in which it was posted.
pub(crate) enum UnderWay {
    /// A page with so many messages.
    Page(u32),
    /// An unbuffered message, by its place in the endpoint's table.
    Unbuffered(u16),
}

/// A parcel that waits for its turn, and what it is noted as when it is under way.
pub(crate) struct Waiting {
    pub(crate) parcel: Parcel,
    pub(crate) note: UnderWay,
}

pub(crate) struct Outgoing {
    /// Longest page that the peer takes, and that there is.
    pub(crate) limit: usize,
    watermark: usize,
    free: Vec<Lent<[u8]>>,
    headers: Vec<Lent<[u8]>>,
    filling: Option<Page>,
    /// Somebody is copying into the page.
    in_hand: bool,
    /// It is to be sent as soon as that is done.
    flush: bool,
    ready: VecDeque<Waiting>,
    under_way: VecDeque<UnderWay>,
    /// Somebody was refused for the want of a page.
    pub(crate) wanted: bool,
}

impl Outgoing {
    /// With pages of `pool`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(pool: &'static Pool, settings: &Settings) -> Result<Self, Error> {
        let bytes = |count: u16, length: usize| {
            let one = |_| pool.bytes(length).map_err(|_| Error::OutOfMemory);
            (0..count).map(one).collect::<Result<Vec<_>, _>>()
        };
        let page = settings.page as usize;
        let most = settings.sends() as usize + 1;
        Ok(Self {
            limit: page,
            watermark: settings.watermark as usize,
            free: bytes(settings.pages, page)?,
            headers: bytes(settings.unbuffered, HEADER)?,
            filling: None,
            in_hand: false,
            flush: false,
            ready: VecDeque::with_capacity(most),
            under_way: VecDeque::with_capacity(most),
            wanted: false,
        })
    }

    /// Whether any record finds room, however long.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Takes the page that a record with so many bytes of payload goes to. It is to be given to
    /// [`finish`](Self::finish).
    #[inline]
    pub(crate) fn begin(&mut self, payload: usize) -> Result<Page, Error> {
        let length = HEADER + payload;
        if length > self.limit {
            return Err(Error::TooLong);
        }
        if self.in_hand {
            return Err(Error::Busy);
        }
        let page = match self.filling.take() {
            Some(page) if page.used + length <= self.limit => page,
            full => {
                full.into_iter().for_each(|page| self.send(page));
                match self.free.pop() {
                    Some(bytes) => Page::empty(bytes),
                    None => {
                        self.wanted = true;
                        return Err(Error::Again);
                    }
                }
            }
        };
        self.in_hand = true;
        Ok(page)
    }

    /// Gives back a page that a record has been appended to. True if that is the first there, and stays.
    #[inline]
    pub(crate) fn finish(&mut self, page: Page, was_empty: bool) -> bool {
        self.in_hand = false;
        let due = page.used >= self.watermark.min(self.limit - HEADER);
        if due || core::mem::take(&mut self.flush) {
            self.send(page);
            return false;
        }
        self.filling = Some(page);
        was_empty
    }

    fn send(&mut self, Page { bytes, used, messages }: Page) {
        let parcel = Parcel::Page { bytes, used };
        self.ready.push_back(Waiting { parcel, note: UnderWay::Page(messages) });
    }

    /// Has the page be sent that is being filled.
    pub(crate) fn flush(&mut self) {
        self.flush = self.in_hand;
        self.filling.take().into_iter().for_each(|page| self.send(page));
    }

    /// Takes a header for an unbuffered message, which comes after all that was taken before.
    pub(crate) fn begin_unbuffered(&mut self, payload: usize) -> Result<Lent<[u8]>, Error> {
        if HEADER + payload > self.limit {
            return Err(Error::TooLong);
        }
        if self.in_hand {
            return Err(Error::Busy);
        }
        let header = self.headers.pop();
        self.wanted |= header.is_none();
        let header = header.ok_or(Error::Again)?;
        self.flush();
        Ok(header)
    }

    /// Whether an unbuffered message more may be under way.
    pub(crate) fn has_header(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Appends a parcel.
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.ready.push_back(waiting);
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next parcel, which is noted as under way.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Parcel> {
        let Waiting { parcel, note } = self.ready.pop_front()?;
        self.under_way.push_back(note);
        Some(parcel)
    }

    /// The parcel that was last begun is to be sent later.
    pub(crate) fn undo(&mut self, parcel: Parcel) {
        if let Some(note) = self.under_way.pop_back() {
            self.ready.push_front(Waiting { parcel, note });
        }
    }

    /// The oldest parcel under way has been sent.
    #[inline]
    pub(crate) fn returned(&mut self, bytes: Lent<[u8]>) -> Option<UnderWay> {
        let note = self.under_way.pop_front()?;
        match note {
            UnderWay::Page(_) => self.free.push(bytes),
            UnderWay::Unbuffered(_) => self.headers.push(bytes),
        }
        Some(note)
    }

    /// Whether all that was taken has been sent.
    pub(crate) fn is_done(&self) -> bool {
        !self.in_hand
            && self.filling.is_none()
            && self.ready.is_empty()
            && self.under_way.is_empty()
    }

    /// Messages that were taken and not sent. Those that are unbuffered are told, by their places.
    pub(crate) fn unsent(&self, mut unbuffered: impl FnMut(u16)) -> u32 {
        let ready = self.ready.iter().map(|waiting| &waiting.note);
        let mut messages = self.filling.as_ref().map_or(0, |page| page.messages);
        for note in self.under_way.iter().chain(ready) {
            match note {
                UnderWay::Page(of) => messages += of,
                UnderWay::Unbuffered(place) => unbuffered(*place),
            }
        }
        messages
    }
}
