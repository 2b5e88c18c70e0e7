//! The script at work: its context's state, which goes on with it when something has happened.

use crate::inbox::Inbox;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, Waker};
use reflex::net::{Connection, ConnectionError, TcpService};
use reflex::{Error, System, log, status};
use spin::Mutex;

/// A script, as far as it has come.
pub(crate) type Play = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// The state of the script's context.
pub(crate) struct Stage {
    pub(crate) system: System,
    pub(crate) inbox: Arc<Mutex<Inbox>>,
    pub(crate) play: Option<Play>,
    /// What the image ends with, once the script has ended.
    pub(crate) ended: Option<u8>,
}

impl Stage {
    /// Puts something on the desk.
    pub(crate) fn put(&mut self, put: impl FnOnce(&mut Inbox)) {
        put(&mut self.inbox.lock());
        self.go_on();
    }

    /// Has the script run until it waits.
    pub(crate) fn go_on(&mut self) {
        let Some(play) = &mut self.play else { return };
        let mut context = TaskContext::from_waker(Waker::noop());
        let Poll::Ready(ended) = play.as_mut().poll(&mut context) else { return };
        let status = match ended {
            Ok(()) => status::SUCCESS,
            Err(error) => {
                log::error!("{error}");
                status::MAIN_FAILED
            }
        };
        (self.play, self.ended) = (None, Some(status));
    }
}

impl TcpService for Stage {
    fn accepted(&mut self, connection: &Connection) {
        self.put(|inbox| inbox.renew(connection));
    }

    fn connected(&mut self, connection: &Connection) {
        self.put(|inbox| inbox.renew(connection));
    }

    fn received(&mut self, _: &Connection) {
        self.go_on();
    }

    fn sent(&mut self, _: &Connection) {
        self.go_on();
    }

    fn closed(&mut self, connection: &Connection) {
        self.put(|inbox| inbox.end(connection));
    }

    fn failed(&mut self, connection: &Connection, _: ConnectionError) {
        self.put(|inbox| {
            inbox.refused = true;
            inbox.end(connection);
        });
    }

    fn ended(&mut self, connection: &Connection) {
        self.put(|inbox| inbox.end(connection));
    }
}
