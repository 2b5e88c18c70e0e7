//! From bytes that were received to replies.

use crate::arguments::Arguments;
use crate::blobs::Blobs;
use crate::command::{Call, Command};
use crate::counters::Shared;
use crate::failure::{Failure, ProtocolError, Unknown};
use crate::parser::{Parser, Step};
use crate::reply::Reply;
use crate::request::{Request, Stream};
use crate::session::Session;
use alloc::sync::Arc;
use reflex_collections::Memory;

/// Commands.
pub trait Execute {
    /// Does what a command says, and answers it. An error takes its place of what was answered so far.
    ///
    /// # Errors
    /// When the command was refused.
    fn execute(&mut self, call: &mut Call<'_, '_>) -> Result<(), Failure>;

    /// Sees that so many bytes more may be used.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    fn make_room(&mut self, bytes: usize, blobs: &mut Blobs) -> Result<(), Failure>;
}

/// What became of bytes that were received.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exchanged {
    /// Bytes that need not be seen again.
    pub consumed: usize,
    /// Bytes that were written to the room there was.
    pub written: usize,
}

/// Answers the connections of a port.
pub struct Engine<C> {
    /// Those of the command that is looked at.
    scratch: Arguments,
    core: Core<C>,
}

/// What executes commands.
struct Core<C> {
    commands: C,
    blobs: Blobs,
    shared: Arc<Shared>,
}

impl<C: Execute> Engine<C> {
    /// One without connections, in the memory of its context.
    pub fn new(commands: C, memory: Memory, shared: Arc<Shared>) -> Self {
        let core = Core { commands, blobs: Blobs::new(memory), shared };
        Self { scratch: Arguments::new(memory), core }
    }

    /// A connection begins.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`]: it cannot be answered.
    pub fn open(&mut self, memory: Memory) -> Result<Session, Failure> {
        let session = Session::new(memory)?;
        let counters = &self.core.shared.counters;
        counters.connections.add(1);
        counters.clients.add(1);
        Ok(session)
    }

    /// The commands.
    pub fn commands(&self) -> &C {
        &self.core.commands
    }

    /// Has the commands do what no connection asks for.
    pub(crate) fn with_commands<R>(&mut self, work: impl FnOnce(&mut C, &mut Blobs) -> R) -> R {
        work(&mut self.core.commands, &mut self.core.blobs)
    }

    /// Answers what was received, in the order in which it came, as long as there is room: what was written is to be
    /// sent in front of the session's [backlog](Self::backlog). What comes next is answered when that has been
    /// sent.
    pub fn exchange(
        &mut self,
        session: &mut Session,
        input: &[u8],
        room: &mut [u8],
        now: u64,
    ) -> Exchanged {
        let Self { scratch, core } = self;
        let mut reply = Reply::new(room, &mut session.backlog);
        let mut consumed = 0;
        while consumed < input.len() && !session.closing && reply.is_open() {
            let (request, rest) = (&mut session.request, &input[consumed..]);
            let understood = match request.begun {
                false => core.whole(scratch, request, rest, &mut reply, now),
                true => core.go_on(request, rest, &mut reply, now),
            };
            match understood {
                Ok(length) => consumed += length,
                Err(error) => {
                    core.shared.counters.protocol_errors.add(1);
                    reply.error(&error);
                    reply.close();
                }
            }
            session.closing = reply.is_last();
        }
        if session.closing {
            // Nothing that follows is a command.
            consumed = input.len();
        }
        let counters = &core.shared.counters;
        counters.received.add(consumed as u64);
        counters.sent.add(reply.written() as u64);
        Exchanged { consumed, written: reply.written() }
    }

    /// What is to be sent next of a session's replies, in one piece.
    pub fn backlog<'a>(&'a self, session: &'a Session) -> &'a [u8] {
        session.backlog.front(&self.core.blobs)
    }

    /// So many bytes of that have been taken to be sent.
    pub fn sent(&mut self, session: &mut Session, bytes: usize) {
        self.core.shared.counters.sent.add(bytes as u64);
        session.backlog.advance(bytes, &mut self.core.blobs);
    }

    /// A connection is over.
    pub fn close(&mut self, mut session: Session) {
        session.request.clear(&mut self.core.blobs);
        session.backlog.clear(&mut self.core.blobs);
        let clients = &self.core.shared.counters.clients;
        clients.set(clients.get() - 1);
    }
}

impl<C: Execute> Core<C> {
    /// A command at the beginning of `input`, all of it if it is there. Returns how much of the input is done.
    #[inline]
    fn whole(
        &mut self,
        scratch: &mut Arguments,
        request: &mut Request,
        input: &[u8],
        reply: &mut Reply<'_>,
        now: u64,
    ) -> Result<usize, ProtocolError> {
        let mut parser = Parser::new();
        scratch.clear();
        match parser.parse(input, scratch, false)? {
            Step::Complete => self.run(scratch, input, reply, now),
            Step::Incomplete | Step::Large(_) => return Ok(request.adopt(parser, scratch, input)),
            Step::NoMemory => {
                request.adopt(parser, scratch, input);
                request.discard(&mut self.blobs);
                if parser.is_through() {
                    self.end(request, reply, now);
                }
            }
        }
        Ok(parser.at())
    }

    /// A command that has begun already.
    fn go_on(
        &mut self,
        request: &mut Request,
        input: &[u8],
        reply: &mut Reply<'_>,
        now: u64,
    ) -> Result<usize, ProtocolError> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            if let Some(stream) = request.stream {
                let length = stream.left.min(rest.len());
                self.feed(request, stream, &rest[..length]);
                consumed += length;
                if length < stream.left {
                    return Ok(consumed);
                }
                request.streamed(&mut self.blobs);
            }
            match request.parse(&mut self.blobs)? {
                Step::Complete => break,
                Step::Large(left) => {
                    let blob = if request.lost { None } else { self.blobs.begin().ok() };
                    request.stream = Some(Stream { blob, left });
                    if blob.is_none() {
                        request.discard(&mut self.blobs);
                    }
                }
                Step::NoMemory | Step::Incomplete => {
                    let rest = &input[consumed..];
                    if rest.is_empty() {
                        return Ok(consumed);
                    }
                    let taken = request.take(rest, &mut self.blobs);
                    consumed += taken;
                    if request.ends_line(&rest[..taken]) {
                        break;
                    }
                }
            }
        }
        self.end(request, reply, now);
        Ok(consumed)
    }

    /// Bytes of an argument that is streamed.
    fn feed(&mut self, request: &mut Request, stream: Stream, bytes: &[u8]) {
        let left = stream.left - bytes.len();
        if let Some(id) = stream.blob {
            let room = self.commands.make_room(bytes.len(), &mut self.blobs);
            if room.and_then(|()| self.blobs.append(id, bytes, left)).is_err() {
                request.discard(&mut self.blobs);
            }
        }
        if let Some(stream) = &mut request.stream {
            stream.left = left;
        }
    }

    /// A command that came in pieces is whole.
    fn end(&mut self, request: &mut Request, reply: &mut Reply<'_>, now: u64) {
        if request.lost {
            let counters = &self.shared.counters;
            counters.commands.add(1);
            self.refuse(Failure::OutOfMemory, b"", reply);
        } else {
            self.run(&request.arguments, &request.text, reply, now);
        }
        request.clear(&mut self.blobs);
    }

    /// Executes a command.
    #[inline]
    fn run(&mut self, arguments: &Arguments, bytes: &[u8], reply: &mut Reply<'_>, now: u64) {
        if arguments.list.is_empty() {
            return;
        }
        self.shared.counters.commands.add(1);
        let before = reply.written();
        let command = Command::new(&arguments.list, arguments.base(bytes));
        let mut call = Call { command, reply, blobs: &mut self.blobs, now };
        let mut done = self.commands.execute(&mut call);
        if reply.has_failed() && done.is_ok() {
            done = Err(Failure::ReplyTooLarge);
        }
        if let Err(failure) = done {
            reply.rewind(before, &mut self.blobs);
            self.refuse(failure, command.word(0).unwrap_or_default(), reply);
        }
    }

    #[cold]
    fn refuse(&mut self, failure: Failure, name: &[u8], reply: &mut Reply<'_>) {
        let counters = &self.shared.counters;
        counters.failures.add(1);
        if matches!(failure, Failure::OutOfMemory | Failure::ReplyTooLarge) {
            counters.refused.add(1);
        }
        match failure {
            Failure::UnknownCommand => reply.error(&Unknown(name)),
            failure => reply.error(&failure),
        }
    }
}
