//! What of a reply is to be sent: its head or the size of a chunk, bytes of the body, and what ends them.

use crate::Output;
use crate::cursor::Cursor;
use crate::date::LENGTH as DATE_LENGTH;
use crate::plan::Persistence;
use crate::response::SERVER;
use crate::route::reason::reason;
use crate::route::reply::Content;
use alloc::vec::Vec;

/// How a client is told where a body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Length {
    /// There is none by the status.
    None,
    /// It is so long.
    Known(u64),
    /// It comes in chunks.
    Chunks,
    /// It ends with the connection, as the client knows no chunks.
    Closed,
}

/// The head of a reply. It is written anew for as long as some of it is unsent, and always comes out the same.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) fields: Vec<u8>,
    pub(crate) date: Option<[u8; DATE_LENGTH]>,
    pub(crate) length: Length,
    pub(crate) persistence: Persistence,
}

/// What comes before bytes of the body.
pub(crate) enum Front {
    /// Nothing.
    Nothing,
    /// The head.
    Head(Head),
    /// The size of a chunk.
    Chunk(usize),
}

/// Bytes to be sent, in three parts.
pub(crate) struct Unsent {
    pub(crate) front: Front,
    pub(crate) content: Content,
    pub(crate) back: &'static [u8],
    /// Of all three.
    sent: usize,
    /// Of all three, once the first has been written.
    length: usize,
}

impl Unsent {
    pub(crate) fn new(front: Front, content: Content, back: &'static [u8]) -> Self {
        Self { front, content, back, sent: 0, length: usize::MAX }
    }

    /// A piece of a body that comes in pieces: a chunk, or just the bytes. The last chunk has none.
    pub(crate) fn piece(content: Content, length: Length, last: bool) -> Self {
        let bytes = content.bytes().len();
        if length != Length::Chunks {
            return Self::new(Front::Nothing, content, b"");
        }
        let back: &[u8] = match (bytes, last) {
            (0, true) => b"0\r\n\r\n",
            (0, false) => b"",
            (_, true) => b"\r\n0\r\n\r\n",
            (_, false) => b"\r\n",
        };
        let front = if bytes == 0 { Front::Nothing } else { Front::Chunk(bytes) };
        Self::new(front, content, back)
    }

    /// Writes what there is room for, and says how many bytes are left.
    pub(crate) fn write(&mut self, scratch: &mut [u8], out: &mut impl Output) -> usize {
        let front = self.front.write(scratch);
        let parts = [front, self.content.bytes(), self.back];
        self.length = parts.iter().map(|part| part.len()).sum();
        let mut before = 0;
        for part in parts {
            // Of this part nothing is sent before those in front of it are.
            let unsent = part.get(self.sent - before.min(self.sent)..).unwrap_or(&[]);
            if !unsent.is_empty() {
                let written = out.write(unsent);
                self.sent += written;
                if written < unsent.len() {
                    break;
                }
            }
            before += part.len();
        }
        self.length - self.sent
    }
}

impl Front {
    fn write<'s>(&self, scratch: &'s mut [u8]) -> &'s [u8] {
        let mut cursor = Cursor::new(scratch);
        match self {
            Self::Nothing => {}
            Self::Head(head) => head.write(&mut cursor),
            Self::Chunk(bytes) => {
                cursor.put_hexadecimal(*bytes as u64);
                cursor.put(b"\r\n");
            }
        }
        let length = cursor.len();
        &scratch[..length]
    }
}

impl Head {
    fn write(&self, cursor: &mut Cursor<'_>) {
        cursor.put(b"HTTP/1.1 ");
        cursor.put_number(u64::from(self.status));
        cursor.put(b" ");
        cursor.put(reason(self.status).as_bytes());
        cursor.put(b"\r\n");
        if let Some(date) = &self.date {
            cursor.put(b"Date: ");
            cursor.put(date);
            cursor.put(b"\r\n");
        }
        cursor.put(SERVER);
        cursor.put(&self.fields);
        match self.length {
            Length::None | Length::Closed => {}
            Length::Known(bytes) => {
                cursor.put(b"Content-Length: ");
                cursor.put_number(bytes);
                cursor.put(b"\r\n");
            }
            Length::Chunks => cursor.put(b"Transfer-Encoding: chunked\r\n"),
        }
        cursor.put(self.persistence.field());
        cursor.put(b"\r\n");
    }
}
