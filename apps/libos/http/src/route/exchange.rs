//! One request for a route, and its reply.
//!
//! ```text
//!   inbound     Whole ------ all there ------> Done         outbound    Awaiting ---- reply ----> Sending
//!               (put together, then a call)                                                        |   ^
//!               Pieces ----- last piece -----> Done                     Streaming <--- written ----+   |
//!               (each piece a call)                                         +---------- piece ---------+
//! ```
//!
//! The two go on side by side. What a handler is to be called with lies in `call` until the driver takes it.

use crate::output::Output;
use crate::plan::{Answer, Body, Persistence, Plan};
use crate::response::CONTINUE;
use crate::route::body::Framing;
use crate::route::handlers::{Answered, Call, Handlers, Incoming};
use crate::route::reply::{Content, Reply};
use crate::route::unsent::{Front, Head, Length, Unsent};
use crate::routes::Desk;
use crate::status::Status;

/// The least memory for a body of unknown length, and the most for one of which nothing has come yet; also the
/// longest piece.
const LEAST: usize = 1024;
const MOST_AHEAD: usize = 4096;

/// What the session does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Nothing: the state is what it was.
    Wait,
    /// A body is expected, to be complete in its time.
    AwaitBody,
    /// A handler has the word.
    AwaitReply,
    /// So many bytes are unsent.
    Send(usize),
    /// The exchange is over, and this is the answer.
    Refuse(Plan),
    /// The exchange is over, and all is written.
    Finish(Persistence),
    /// The connection cannot go on.
    Abort,
}

/// A request in hand.
pub struct Exchange<B> {
    pub(crate) route: u16,
    pub(crate) persistence: Persistence,
    pub(crate) body: Body,
    /// The client knows no chunks.
    pub(crate) is_old: bool,
    /// The route's handler goes by pieces.
    pub(crate) in_pieces: bool,
    /// What of `100 Continue` is unsent.
    pub(crate) interim: &'static [u8],
    pub(crate) inbound: Inbound<B>,
    pub(crate) outbound: Outbound,
    pub(crate) call: Option<Call<B>>,
    /// A handler is to be told of room, too: it may have a piece in hand meanwhile.
    pub(crate) room_due: bool,
    /// Bytes of the body that have come.
    pub(crate) arrived: u64,
}

/// The request's body.
pub(crate) enum Inbound<B> {
    /// It is put together behind the head.
    Whole { framing: Framing, incoming: Incoming<B>, limit: usize },
    /// It goes to the handler in pieces, while that is not `busy`.
    Pieces { framing: Framing, left: u64, busy: bool },
    /// All of it is with the handler.
    Done,
}

/// The reply.
pub(crate) enum Outbound {
    Awaiting,
    Sending {
        unsent: Unsent,
        then: Then,
    },
    /// The handler has the word.
    Streaming(Stream),
}

/// What follows what is being sent.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Finish,
    Stream(Stream),
}

/// A reply in pieces.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    length: Length,
    /// Of the length that was said.
    left: Option<u64>,
}

const fn closing(status: Status) -> Turn {
    Turn::Refuse(Plan::refusal(status))
}

impl<B: core::ops::DerefMut<Target = [u8]>> Exchange<B> {
    /// The head is there.
    pub(crate) fn begin(&mut self) -> Turn {
        match &self.inbound {
            Inbound::Whole { framing, .. } if framing.is_complete() => self.complete(),
            Inbound::Pieces { framing, .. } if framing.is_complete() => {
                self.inbound = Inbound::Done;
                Turn::AwaitReply
            }
            Inbound::Pieces { .. } => Turn::AwaitReply,
            _ => Turn::AwaitBody,
        }
    }

    /// All of the request is there: it is for the handler.
    fn complete(&mut self) -> Turn {
        if let Inbound::Whole { incoming, .. } =
            core::mem::replace(&mut self.inbound, Inbound::Done)
        {
            self.call = Some(Call::Request(incoming));
        }
        Turn::AwaitReply
    }

    /// Bytes of the body have come.
    pub(crate) fn input<H: Handlers<Block = B>>(
        &mut self,
        bytes: &[u8],
        handlers: &mut H,
    ) -> (usize, Turn) {
        // What the handler was not called with yet comes first.
        if self.call.is_some() || !self.interim.is_empty() {
            return (0, Turn::Wait);
        }
        match &mut self.inbound {
            Inbound::Done | Inbound::Pieces { busy: true, .. } => (0, Turn::Wait),
            Inbound::Whole { .. } => self.input_whole(bytes, handlers),
            Inbound::Pieces { .. } => self.input_piece(bytes, handlers),
        }
    }

    fn input_whole<H: Handlers<Block = B>>(
        &mut self,
        bytes: &[u8],
        handlers: &mut H,
    ) -> (usize, Turn) {
        let Inbound::Whole { framing, incoming, limit } = &mut self.inbound else {
            return (0, Turn::Wait);
        };
        let (begin, length) = (incoming.meta.body.at as usize, incoming.meta.body.length as usize);
        let room = &mut incoming.block[begin + length..];
        let is_full = room.is_empty();
        let Ok(filled) = framing.fill(bytes, room) else {
            return (bytes.len(), closing(Status::BadRequest));
        };
        incoming.meta.body.length += filled.data as u32;
        self.arrived += filled.data as u64;
        if filled.complete {
            return (filled.taken, self.complete());
        }
        if filled.taken > 0 || !is_full {
            return (filled.taken, Turn::Wait);
        }
        if length >= *limit {
            return (bytes.len(), closing(Status::ContentTooLarge));
        }
        let larger = (2 * length).clamp(LEAST, *limit);
        match handlers.block(begin + larger) {
            Some(mut block) => {
                block[..begin + length].copy_from_slice(&incoming.block[..begin + length]);
                incoming.block = block;
                self.input_whole(bytes, handlers)
            }
            None => (bytes.len(), closing(Status::ServiceUnavailable)),
        }
    }

    fn input_piece<H: Handlers<Block = B>>(
        &mut self,
        bytes: &[u8],
        handlers: &mut H,
    ) -> (usize, Turn) {
        let Inbound::Pieces { framing, left, busy } = &mut self.inbound else {
            return (0, Turn::Wait);
        };
        let Some(mut block) = handlers.block(bytes.len().clamp(1, MOST_AHEAD)) else {
            return (bytes.len(), Turn::Abort);
        };
        let Ok(filled) = framing.fill(bytes, &mut block) else {
            return (bytes.len(), Turn::Abort);
        };
        let Some(rest) = left.checked_sub(filled.data as u64) else {
            return (bytes.len(), closing(Status::ContentTooLarge));
        };
        *left = rest;
        self.arrived += filled.data as u64;
        if filled.data > 0 || filled.complete {
            *busy = true;
            let (route, length, last) = (usize::from(self.route), filled.data, filled.complete);
            self.call = Some(Call::Piece { route, block, length, last });
        }
        if filled.complete {
            self.inbound = Inbound::Done;
        }
        (
            filled.taken,
            if filled.data > 0 || filled.complete { Turn::AwaitReply } else { Turn::Wait },
        )
    }

    /// A handler has answered.
    pub(crate) fn answer(
        &mut self,
        answered: Answered,
        desk: &mut Desk<'_>,
        out: &mut impl Output,
    ) -> Turn {
        match (answered, &mut self.outbound) {
            (Answered::Ready, _) => {
                if let Inbound::Pieces { busy, .. } = &mut self.inbound {
                    *busy = false;
                    return Turn::AwaitBody;
                }
                return Turn::Wait;
            }
            (Answered::Reply(reply), Outbound::Awaiting) => self.reply(reply, desk),
            (Answered::Failed, Outbound::Awaiting) => {
                desk.counters.failed_handlers += 1;
                return Turn::Refuse(Plan {
                    body: self.body,
                    ..Plan::refusal(Status::InternalServerError)
                });
            }
            (Answered::Piece { content, last }, Outbound::Streaming(stream)) => {
                let stream = *stream;
                match stream.after(&content, last) {
                    Some(then) => {
                        let unsent = Unsent::piece(content, stream.length, last);
                        self.outbound = Outbound::Sending { unsent, then };
                    }
                    None => {
                        desk.counters.faulty_replies += 1;
                        return Turn::Abort;
                    }
                }
            }
            // Half of a reply is worse than none.
            _ => return Turn::Abort,
        }
        self.output(desk, out)
    }

    fn reply(&mut self, reply: Reply, desk: &mut Desk<'_>) {
        let streams = matches!(reply.body, Content::Streamed(_));
        let reply = if reply.fault().is_some() || streams && !self.in_pieces {
            desk.counters.faulty_replies += 1;
            Reply::status(500).text("500 Internal Server Error\n")
        } else {
            reply
        };
        desk.counters.responses += 1;
        let has_none = matches!(reply.status, 204 | 304);
        let length = match &reply.body {
            _ if has_none => Length::None,
            Content::Streamed(Some(bytes)) => Length::Known(*bytes),
            Content::Streamed(None) if self.is_old => Length::Closed,
            Content::Streamed(None) => Length::Chunks,
            content => Length::Known(content.bytes().len() as u64),
        };
        let unread = !matches!(self.inbound, Inbound::Done);
        if reply.close || unread || length == Length::Closed || desk.shutting_down {
            self.persistence = Persistence::Closed;
        }
        let omitted = has_none || self.body == Body::Omitted;
        let then = match &reply.body {
            Content::Streamed(bytes) if !omitted => Then::Stream(Stream { length, left: *bytes }),
            _ => Then::Finish,
        };
        let date = desk.date.text().copied();
        let head = Head {
            status: reply.status,
            fields: reply.fields,
            date,
            length,
            persistence: self.persistence,
        };
        let content = if omitted { Content::Empty } else { reply.body };
        let unsent = Unsent::new(Front::Head(head), content, b"");
        self.outbound = Outbound::Sending { unsent, then };
    }

    /// Writes what there is room for.
    pub(crate) fn output(&mut self, desk: &mut Desk<'_>, out: &mut impl Output) -> Turn {
        if !self.interim.is_empty() {
            self.interim = &self.interim[out.write(self.interim)..];
        }
        let Outbound::Sending { unsent, then } = &mut self.outbound else { return Turn::Wait };
        let left = unsent.write(desk.scratch, out);
        if left > 0 {
            return Turn::Send(left);
        }
        match *then {
            Then::Finish => Turn::Finish(self.persistence),
            Then::Stream(stream) => {
                self.outbound = Outbound::Streaming(stream);
                self.room_due = true;
                Turn::AwaitReply
            }
        }
    }

    /// It has taken too long, and is at that which is unsent, if anything is.
    pub(crate) fn expire(&self) -> Turn {
        match (&self.outbound, &self.inbound) {
            (Outbound::Awaiting, Inbound::Whole { .. }) => closing(Status::RequestTimeout),
            (Outbound::Awaiting, Inbound::Pieces { busy: false, .. }) => {
                closing(Status::RequestTimeout)
            }
            (Outbound::Awaiting, _) => closing(Status::ServiceUnavailable),
            _ => Turn::Abort,
        }
    }

    /// What a handler is to be called with.
    pub(crate) fn take_call(&mut self) -> Option<Call<B>> {
        let route = usize::from(self.route);
        let room = |due: &mut bool| core::mem::take(due).then_some(Call::Room { route });
        self.call.take().or_else(|| room(&mut self.room_due))
    }

    /// The handler cannot be called.
    pub(crate) fn unavailable(&self) -> Turn {
        let persistence = match self.inbound {
            Inbound::Done => self.persistence,
            _ => Persistence::Closed,
        };
        match self.outbound {
            Outbound::Awaiting => Turn::Refuse(Plan {
                answer: Answer::Status(Status::ServiceUnavailable),
                persistence,
                body: self.body,
            }),
            _ => Turn::Abort,
        }
    }

    /// Whether bytes of the body are missing.
    pub(crate) fn is_incomplete(&self) -> bool {
        !matches!(self.inbound, Inbound::Done)
    }

    /// Whether it waits for room.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.interim.is_empty() || matches!(self.outbound, Outbound::Sending { .. })
    }
}

impl Stream {
    /// What follows a piece; `None` when it is not as long as was said.
    fn after(self, content: &Content, last: bool) -> Option<Then> {
        let bytes = content.bytes().len() as u64;
        let left = match self.left {
            Some(left) => Some(left.checked_sub(bytes)?),
            None => None,
        };
        match (left, last) {
            (Some(1..), true) => None,
            (Some(0), _) | (_, true) => Some(Then::Finish),
            _ => Some(Then::Stream(Self { left, ..self })),
        }
    }
}

/// What of a body is asked for before anything of it has come.
pub(crate) fn ahead(framing: &Framing) -> usize {
    match framing {
        Framing::Length(bytes) => {
            usize::try_from(*bytes).map_or(MOST_AHEAD, |bytes| bytes.min(MOST_AHEAD))
        }
        Framing::Chunks(_) => LEAST,
    }
}

/// What a client that waits to be told to go on is told.
pub(crate) const INTERIM: &[u8] = CONTINUE;
