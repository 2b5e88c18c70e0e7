//! Responses rendered at start-up, of which only the date changes.

use crate::cursor::Cursor;
use crate::date::{self, Date};
use crate::limits::JOINED_BODY;
use crate::plan::Plan;
use crate::response::{self, BEFORE_DATE};
use crate::{Error, Site};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// The response of status 200 for one file and one way of going on with the connection.
pub(crate) struct Image {
    /// The head and, when it is short, the body.
    bytes: Box<[u8]>,
    /// Length of the head.
    head: usize,
    /// The date's stamp as of which `bytes` is right.
    stamp: u32,
}

impl Image {
    /// Renders `plan`, a whole file with its body.
    pub(crate) fn new(
        plan: &Plan,
        site: &Site,
        date: &Date,
        scratch: &mut [u8],
    ) -> Result<Self, Error> {
        let mut cursor = Cursor::new(scratch);
        let body = response::write(&mut cursor, plan, site, date);
        if cursor.overflowed() {
            return Err(Error::HeadTooLong);
        }
        let head = cursor.len();
        let joined = if body.len() <= JOINED_BODY { body } else { b"" };
        let mut bytes = Vec::with_capacity(head + joined.len());
        bytes.extend_from_slice(&scratch[..head]);
        bytes.extend_from_slice(joined);
        Ok(Self { bytes: bytes.into_boxed_slice(), head, stamp: date.stamp() })
    }

    /// The response as of `date`: its bytes, and how many of them are the head.
    #[inline]
    pub(crate) fn at(&mut self, date: &Date) -> (&[u8], usize) {
        if self.stamp != date.stamp() {
            self.stamp = date.stamp();
            if let Some(text) = date.text() {
                self.bytes[BEFORE_DATE..BEFORE_DATE + date::LENGTH].copy_from_slice(text);
            }
        }
        (&self.bytes, self.head)
    }
}
