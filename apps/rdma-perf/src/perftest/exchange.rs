//! How the two sides tell each other things: in pairs, of which the client has the first and the server the second.

use super::options::Options;
use super::record::Record;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddrV4};
use core::time::Duration;
use rdma_script::{Desk, Stream};
use reflex::Error;
use reflex::rdma::{
    Accept, Connect, Connection, PathMtu, QueuePair, ReceiveRequest, SendRequest, Transport,
};

/// The version that a client says it is; a server is of its client's.
const VERSION: &[u8; 16] = b"6.06\0\0\0\0\0\0\0\0\0\0\0\0";
/// Bytes around which small operations go, and those of a cache line.
const CYCLE: u32 = 4096;
const LINE: u32 = 64;
/// The last word, over TCP.
const DONE: &[u8; 5] = b"done\0";
/// Messages over RDMA that may come before they are looked at.
const RECEIVES: u32 = 8;
/// How long the client may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The conversation.
pub(crate) struct Exchange {
    pub(crate) desk: Desk,
    is_client: bool,
    way: Way,
}

enum Way {
    Tcp(Stream),
    /// Messages of a connection.
    Control {
        pair: QueuePair,
        connection: Connection,
    },
}

impl Exchange {
    /// Comes to know the other side.
    pub(crate) async fn open(desk: &Desk, options: &Options) -> Result<Self, Error> {
        let way = if options.cm {
            Way::control(desk, options).await?
        } else {
            let stream = match options.server {
                Some(IpAddr::V4(server)) => {
                    desk.connect_tcp(SocketAddrV4::new(server, options.port)).await?
                }
                Some(IpAddr::V6(_)) => return Err("rdma.peer: TCP takes an IPv4 address".into()),
                None => {
                    desk.listen_tcp(options.port)?;
                    desk.accept_tcp().await
                }
            };
            stream.hold();
            Way::Tcp(stream)
        };
        Ok(Self { desk: desk.clone(), is_client: options.server.is_some(), way })
    }

    /// Agrees on the version, on two sizes, and on the MTU, which is returned.
    pub(crate) async fn greet(&mut self, own: PathMtu) -> Result<PathMtu, Error> {
        self.same(VERSION).await?;
        self.same(&CYCLE.to_be_bytes()).await?;
        self.same(&LINE.to_be_bytes()).await?;
        let heard = self.pair(&[b'0' + own.code(), 0]).await?;
        let code = heard.first().and_then(|digit| digit.checked_sub(b'0'));
        let mtu = code.and_then(|code| PathMtu::ALL.into_iter().find(|mtu| mtu.code() == code));
        Ok(own.min(mtu.ok_or("the other side's MTU makes no sense")?))
    }

    /// One pair: what the other side says, as long as what this one does.
    pub(crate) async fn pair(&mut self, own: &[u8]) -> Result<Vec<u8>, Error> {
        if self.is_client {
            self.say(own)?;
            return self.hear(own.len()).await;
        }
        let heard = self.hear(own.len()).await?;
        self.say(own)?;
        Ok(heard)
    }

    /// A pair in which the server says what the client does.
    async fn same(&mut self, own: &[u8]) -> Result<(), Error> {
        if self.is_client {
            return self.pair(own).await.map(drop);
        }
        let heard = self.hear(own.len()).await?;
        self.say(&heard)
    }

    /// A pair of records.
    pub(crate) async fn records(&mut self, own: &Record) -> Result<Record, Error> {
        let record = match self.way {
            Way::Tcp(_) => Record::from_text(&self.pair(&own.text()).await?),
            Way::Control { .. } => Record::from_binary(&self.pair(&own.binary()).await?),
        };
        record.ok_or("the other side's queue pair makes no sense".into())
    }

    /// A pair of records that say nothing of queue pairs there are.
    pub(crate) async fn nothing(&mut self) -> Result<(), Error> {
        self.pair(&[0; Record::BINARY]).await.map(drop)
    }

    fn say(&self, bytes: &[u8]) -> Result<(), Error> {
        match &self.way {
            Way::Tcp(stream) => stream.write(bytes),
            Way::Control { pair, .. } => {
                let mut message = self.desk.domain.bytes(bytes.len())?;
                message.copy_from_slice(bytes);
                Ok(pair.post_send(SendRequest::message().bytes(message).unsignalled())?)
            }
        }
    }

    async fn hear(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        match &mut self.way {
            Way::Tcp(stream) => stream.read(length).await,
            Way::Control { pair, .. } => {
                let mut done = self.desk.message(pair.number()).await?;
                let memory = done.bytes.take().ok_or("a receive has no memory")?;
                if done.length < length {
                    return Err("the other side says too little".into());
                }
                let heard = memory[..length].to_vec();
                pair.post_receive(ReceiveRequest::bytes(memory))?;
                Ok(heard)
            }
        }
    }

    /// The last word.
    pub(crate) async fn conclude(mut self) -> Result<(), Error> {
        match &mut self.way {
            Way::Tcp(stream) => {
                // Which both sides have at once.
                stream.write(DONE)?;
                stream.read(DONE.len()).await?;
            }
            Way::Control { .. } => {}
        }
        self.leave().await
    }

    /// Ends the conversation, without a word.
    pub(crate) async fn leave(self) -> Result<(), Error> {
        match self.way {
            Way::Tcp(mut stream) => {
                stream.finish();
                stream.drained().await;
                Ok(())
            }
            // That is the server's to end, after the others, which the client ends.
            Way::Control { connection, .. } if self.is_client => {
                if !self.desk.ended(&connection, PATIENCE).await? {
                    connection.disconnect()?;
                }
                Ok(())
            }
            Way::Control { connection, .. } => self.desk.disconnect(&connection).await,
        }
    }
}

impl Way {
    /// The first connection, of messages alone.
    async fn control(desk: &Desk, options: &Options) -> Result<Self, Error> {
        let pair = desk.domain.queue_pair(Transport::Reliable, &desk.queue, &desk.queue);
        let pair = pair.depth(RECEIVES, RECEIVES).build()?;
        for _ in 0..RECEIVES {
            pair.post_receive(ReceiveRequest::bytes(desk.domain.bytes(Record::BINARY)?))?;
        }
        let connection = match options.server {
            Some(server) => {
                let connect = Connect::new().reads(0);
                desk.connect(&pair, (server, options.port), connect).await?.0
            }
            None => {
                desk.listen(options.port)?;
                let connection = desk.requested().await.connection;
                connection.accept(&pair, Accept::new().reads(0))?;
                desk.connected(&connection).await?;
                connection
            }
        };
        desk.hold(&connection);
        Ok(Self::Control { pair, connection })
    }
}
