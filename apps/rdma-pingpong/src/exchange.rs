//! The conversation over TCP: each side announces its queue pairs, the client first, which has the last
//! word, too.
//!
//! ```text
//!  client                                          server
//!    | announcements, one or SHARED ------------------> |  its queue pairs take packets
//!    | <------------------ announcements, as many       |
//!    | "done" ----------------------------------------> |
//! ```

use crate::announcement::Announcement;
use alloc::vec::Vec;
use reflex::net::{Connection, NetError, Written};

/// Announcements in each direction where several queue pairs share a receive queue, whether there are
/// so many or not.
const SHARED: usize = 256;
/// What the client says when it has understood.
const DONE: &[u8] = b"done\0";

/// How far the conversation has come.
pub(crate) struct Exchange {
    announcements: usize,
    heard: Vec<u8>,
    unsent: Vec<u8>,
    /// What is unsent is the last word.
    last: bool,
}

impl Exchange {
    pub(crate) fn new(shared: bool) -> Self {
        let announcements = if shared { SHARED } else { 1 };
        let heard = Vec::with_capacity(announcements * Announcement::LENGTH + DONE.len());
        Self { announcements, heard, unsent: Vec::new(), last: false }
    }

    /// Tells the other side of these queue pairs.
    pub(crate) fn announce(&mut self, own: impl Iterator<Item = Announcement>) {
        let missing = core::iter::repeat(Announcement::NONE);
        let all = own.chain(missing).take(self.announcements);
        all.for_each(|announcement| announcement.emit(&mut self.unsent));
    }

    /// Says the client's last word.
    pub(crate) fn conclude(&mut self) {
        self.unsent.extend_from_slice(DONE);
        self.last = true;
    }

    /// Sends what is unsent.
    pub(crate) fn send(&mut self, connection: &Connection) -> Result<(), NetError> {
        if connection.write(&self.unsent) == Written::Refused {
            return Err(NetError::Closed);
        }
        self.unsent.clear();
        if self.last {
            connection.finish();
        }
        Ok(())
    }

    /// Takes what has come. True when all announcements have, for the first time.
    pub(crate) fn listen(&mut self, connection: &Connection) -> Result<bool, NetError> {
        let (heard, whole) = (&mut self.heard, self.announcements * Announcement::LENGTH);
        let most = whole + DONE.len();
        let before = heard.len();
        while connection.receive(|bytes| {
            // What is more than all belongs to no conversation.
            let wanted = bytes.len().min(most - heard.len());
            heard.extend_from_slice(&bytes[..wanted]);
            bytes.len()
        })? > 0
        {}
        Ok(before < whole && heard.len() >= whole)
    }

    /// The other side's queue pairs: an item is none where there is no sense in what was said.
    pub(crate) fn heard(&self) -> impl Iterator<Item = Option<Announcement>> {
        self.heard.chunks_exact(Announcement::LENGTH).map(Announcement::parse)
    }

    /// Whether the client has had its last word.
    pub(crate) fn is_over(&self) -> bool {
        self.last && self.unsent.is_empty() || self.heard.ends_with(DONE)
    }

    /// Another client may begin.
    pub(crate) fn forget(&mut self) {
        self.heard.clear();
        self.unsent.clear();
    }
}
