//! What a connection has exchanged without its socket: see `ahead`.

use crate::ip::tcp::gone::Gone;
use reflex_hil::Frame;
use smoltcp::time::Instant as Time;

/// What went by a connection's socket.
pub(crate) struct Lead {
    /// Bytes, in all.
    pub(super) gone: Gone,
    /// Something did since the socket caught up, and since the timer last looked.
    pub(super) ahead: bool,
    pub(super) stirred: bool,
    /// The text of the last segment, as far as the application has not read it.
    pub(super) text: Option<Text>,
    /// It is counted among those that hold a frame.
    pub(crate) counted: bool,
    /// Bytes in front of the free part of the send buffer: sent at that time and not acknowledged, and queued
    /// behind those.
    pub(super) flying: usize,
    pub(super) sent_at: Time,
    pub(super) queued: usize,
    /// It has paid to be ahead: an answer was sent. Otherwise so many segments are heard by the socket before
    /// that is tried again.
    pub(super) paid: bool,
    pub(super) shy: u8,
    /// An acknowledgement is owed that the socket knows nothing of.
    pub(crate) unheard: bool,
    /// The last segment of the socket's acknowledged everything, and offered all of its buffer.
    pub(crate) open: bool,
    /// Text has come out of order, up to this number at the most, and the socket has it.
    pub(super) early: Option<u32>,
    /// Bytes of text that the peer takes in a segment, and by how many bits its windows are scaled.
    pub(super) mss: u16,
    pub(super) scale: u8,
}

/// Text in a frame.
pub(super) struct Text {
    pub(super) frame: Frame,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Text {
    #[inline]
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.frame.get(self.from..self.to)
    }
}

impl Lead {
    pub(crate) const NONE: Self = Self {
        gone: Gone::NONE,
        ahead: false,
        stirred: false,
        text: None,
        counted: false,
        flying: 0,
        sent_at: Time::ZERO,
        queued: 0,
        paid: false,
        shy: 0,
        unheard: false,
        open: false,
        early: None,
        mss: 0,
        scale: 0,
    };

    /// Another connection begins.
    pub(crate) fn forget(&mut self) {
        *self = Self { counted: self.counted, ..Self::NONE };
    }

    /// Whether something went by the socket that it has not caught up with.
    #[inline]
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead
    }

    /// Whether bytes are queued that were not sent.
    #[inline]
    pub(crate) fn has_queued(&self) -> bool {
        self.queued > 0
    }

    /// Whether the application holds a frame.
    #[inline]
    pub(crate) fn holds(&self) -> bool {
        self.text.is_some()
    }

    /// Gives up the frame that the application holds.
    pub(crate) fn release(&mut self) -> Option<Frame> {
        self.text.take().map(|text| text.frame)
    }

    /// The peer takes segments with so many bytes of text, and scales its windows by so many bits.
    pub(crate) fn begin(&mut self, mss: u16, scale: u8) {
        (self.mss, self.scale) = (mss, scale);
    }

    /// Text up to `end` was heard, with `expected` the next in order.
    #[inline]
    pub(crate) fn heard(&mut self, end: u32, expected: u32) {
        let is_early = |end: u32| (end.wrapping_sub(expected) as i32) > 0;
        let later = self.early.filter(|before| (before.wrapping_sub(end) as i32) > 0);
        self.early = Some(later.unwrap_or(end)).filter(|end| is_early(*end));
    }

    /// How the socket's numbers differ from those on the wire.
    #[inline]
    pub(crate) fn gone(&self) -> Gone {
        self.gone
    }
}
