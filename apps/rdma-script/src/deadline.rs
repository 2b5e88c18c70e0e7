//! Waiting for so long at most. There is one deadline at a time: a new one takes the place of the last.

use crate::desk::Desk;
use crate::done::Done;
use crate::inbox::{Happened, Inbox};
use core::time::Duration;
use reflex::Error;
use reflex::rdma::{Connection, ConnectionChange};

/// When waiting ends.
#[derive(Clone, Copy)]
pub struct Deadline {
    /// Times that the alarm had rung before.
    rings: u64,
}

impl Deadline {
    fn is_over(self, inbox: &Inbox) -> bool {
        inbox.rings != self.rings
    }
}

impl Desk {
    /// So long from now on.
    ///
    /// # Errors
    /// When the alarm cannot be set.
    pub fn deadline(&self, time: Duration) -> Result<Deadline, Error> {
        // One of before may have expired without having been told.
        self.alarm.stop()?;
        let rings = self.inbox.lock().rings;
        self.alarm.after(time)?;
        Ok(Deadline { rings })
    }

    /// Waits for so long.
    ///
    /// # Errors
    /// When the alarm cannot be set.
    pub async fn sleep(&self, time: Duration) -> Result<(), Error> {
        let deadline = self.deadline(time)?;
        self.until(|inbox| deadline.is_over(inbox).then_some(())).await;
        Ok(())
    }

    /// The oldest completion, whatever has become of the work, or nothing when the time is over or the peer has gone.
    pub async fn done_before(&self, deadline: Deadline) -> Option<Done> {
        let next = |inbox: &mut Inbox| match inbox.done.pop_front() {
            _ if deadline.is_over(inbox) => Some(None),
            None => inbox.is_alone().then_some(None),
            done => Some(done),
        };
        self.until(next).await
    }

    /// As [`written`](Self::written): whether that was before the time was over, and the peer gone.
    pub async fn written_before(&self, seen: &mut u64, deadline: Deadline) -> bool {
        let next = |inbox: &mut Inbox| match inbox.writes {
            _ if deadline.is_over(inbox) || inbox.is_alone() => Some(None),
            writes => (writes != *seen).then_some(Some(writes)),
        };
        let writes = self.until(next).await;
        *seen = writes.unwrap_or(*seen);
        writes.is_some()
    }

    /// Waits until a connection has ended, for so long at most: whether it has.
    ///
    /// # Errors
    /// When the alarm cannot be set.
    pub async fn ended(&self, connection: &Connection, most: Duration) -> Result<bool, Error> {
        let deadline = self.deadline(most)?;
        let last = |it: &Happened| {
            let over = matches!(
                it.what,
                ConnectionChange::Disconnected
                    | ConnectionChange::Failed { .. }
                    | ConnectionChange::Rejected { .. }
            );
            it.connection == *connection && over
        };
        let ended = |inbox: &mut Inbox| match inbox.happened.iter().position(last) {
            Some(place) => inbox.happened.remove(place).map(|_| true),
            None => deadline.is_over(inbox).then_some(false),
        };
        let ended = self.until(ended).await;
        self.alarm.stop()?;
        Ok(ended)
    }
}
