//! A TCP connection, read and written in pieces of known length.

use crate::desk::{Desk, successful};
use crate::done::Done;
use crate::inbox::{Inbox, Lifeline};
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::SocketAddrV4;
use core::task::Poll;
use reflex::Error;
use reflex::net::{Connection, NetError, Written};

/// Bytes of a connection's buffers, each.
const BUFFER: usize = 16 << 10;

/// A TCP connection.
pub struct Stream {
    desk: Desk,
    connection: Connection,
}

impl Desk {
    /// Listens on a TCP port for one connection at a time, from now to the end.
    ///
    /// # Errors
    /// Those of [`ListenBuilder::serve`](reflex::net::ListenBuilder::serve).
    pub fn listen_tcp(&self, port: u16) -> Result<(), Error> {
        let listener = self.system.tcp(port).connections(2).buffers(BUFFER, BUFFER);
        listener.serve(self.context)?;
        Ok(())
    }

    /// Waits for a TCP connection.
    pub async fn accept_tcp(&self) -> Stream {
        let connection = self.until(|inbox| inbox.streams.pop_front()).await;
        Stream::new(self.clone(), connection)
    }

    /// Opens a TCP connection.
    ///
    /// # Errors
    /// When it does not come about.
    pub async fn connect_tcp(&self, to: SocketAddrV4) -> Result<Stream, Error> {
        let connector = self.system.connector().connections(1).buffers(BUFFER, BUFFER);
        connector.serve(self.context)?.connect(to)?;
        let stands = |inbox: &mut Inbox| match inbox.streams.pop_front() {
            Some(connection) => Some(Ok(connection)),
            None if inbox.refused => Some(Err(Error::from("the peer refuses TCP connections"))),
            None => None,
        };
        Ok(Stream::new(self.clone(), self.until(stands).await?))
    }
}

impl Stream {
    fn new(desk: Desk, connection: Connection) -> Self {
        Self { desk, connection }
    }

    /// Has waiting for completions fail once this is over: the peer sends nothing any more.
    pub fn hold(&self) {
        self.desk.inbox.lock().lifeline = Some(Lifeline::Stream(self.connection.slot()));
    }

    /// The next `length` bytes. More of them are left where they are, and the peer is held up meanwhile.
    ///
    /// # Errors
    /// When the peer ends before.
    pub async fn read(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut heard = Vec::with_capacity(length);
        poll_fn(|_| match self.take(&mut heard, length) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        })
        .await?;
        Ok(heard)
    }

    /// Takes what is there, up to a length: whether that is reached.
    fn take(&self, heard: &mut Vec<u8>, length: usize) -> Result<bool, Error> {
        const OVER: Error = Error::Application("the peer ended the conversation");
        while heard.len() < length {
            let taken = self.connection.receive(|bytes| {
                let wanted = bytes.len().min(length - heard.len());
                heard.extend_from_slice(&bytes[..wanted]);
                wanted
            });
            match taken {
                Ok(0) if self.desk.inbox.lock().over.contains(&self.connection.slot()) => {
                    return Err(OVER);
                }
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(NetError::Closed) => return Err(OVER),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// The oldest completion, that has to be a success, or nothing when there are bytes to read first.
    ///
    /// # Errors
    /// What has become of the work; that the peer has gone.
    pub async fn or_done(&self) -> Result<Option<Done>, Error> {
        let either = |inbox: &mut Inbox| match inbox.done.pop_front() {
            Some(done) => Some(Some(done)),
            None if self.connection.receivable().is_ok_and(|bytes| bytes > 0) => Some(None),
            None => None,
        };
        self.desk.while_there(either).await?.map(successful).transpose()
    }

    /// As many bytes as an array has.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = self.read(N).await?;
        // As many as were asked for.
        Ok(bytes.try_into().unwrap_or([0; N]))
    }

    /// Sends.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        match self.connection.write(bytes) {
            Written::Refused => Err("the peer ended the conversation".into()),
            Written::Taken | Written::Hold => Ok(()),
        }
    }

    /// Says no more. What was written still leaves.
    pub fn finish(&self) {
        self.connection.finish();
    }

    /// Waits until the peer says no more, passing over what it still says.
    pub async fn drained(&mut self) {
        while self.read(1).await.is_ok() {}
    }
}
