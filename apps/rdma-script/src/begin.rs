//! How a script begins, and what it is given.

use crate::desk::Desk;
use crate::done::Done;
use crate::inbox::{Happened, Inbox};
use crate::stage::{Play, Stage};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::time::Duration;
use reflex::rdma::{Completion, ConnectionEvent, Rdma};
use reflex::{Error, Priority, System};
use spin::Mutex;

/// Bytes of stack: futures within futures are polled on it, and move much from one to the other.
const STACK: usize = 64 << 10;
/// How long the image stays when its script has ended.
const LINGER: Duration = Duration::from_millis(200);

/// What a script is given.
#[derive(Clone, Copy)]
pub struct Terms {
    /// Event memory, in bytes.
    pub memory: usize,
    /// Completions that may wait: sends and receives in flight of all queue pairs.
    pub completions: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self { memory: 4 << 20, completions: 4096 }
    }
}

type Opening = Box<dyn FnOnce() -> Play + Send>;

/// Has the script begin as soon as the interface has an address. When it ends, so does the image: with an error's
/// words in the log, if it ends with one.
///
/// # Errors
/// When memory or a table does not allow what a script needs.
pub fn begin<F>(
    system: System,
    terms: Terms,
    script: impl FnOnce(Desk) -> F + Send + 'static,
) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let inbox = Arc::new(Mutex::new(Inbox::default()));
    let play = |desk: Desk| async move {
        let ended = script(desk.clone()).await;
        // What the other side has to be told may still be on its way, and get lost there.
        desk.alarm.after(LINGER)?;
        ended
    };
    let stage = Stage { system, inbox: inbox.clone(), play: None, ended: None };
    let context = system.context("script", stage).memory(terms.memory).stack(STACK).build()?;
    let rdma: &Rdma = system.rdma()?;
    let domain = rdma.domain(context)?;
    let completed = |stage: &mut Stage, completion: &mut Completion| {
        stage.put(|inbox| inbox.done.push_back(Done::of(completion)));
    };
    let queue = rdma.completion_queue(context, terms.completions, Priority::DEFAULT, completed)?;
    let happened = |stage: &mut Stage, event: ConnectionEvent| {
        let ConnectionEvent { connection, what } = event;
        stage.put(|inbox| inbox.happened.push_back(Happened { connection, what }));
    };
    let manager = rdma.connections(context, Priority::DEFAULT, happened)?;
    let rang = |stage: &mut Stage, _| match stage.ended {
        Some(status) => stage.system.exit(status),
        None => stage.put(|inbox| inbox.rings += 1),
    };
    let alarm = system.timer().on(context, rang)?;
    let desk = Desk { system, rdma, domain, queue, manager, context, alarm, inbox };
    let opening: Opening = Box::new(move || Box::pin(play(desk)));
    let opening = Mutex::new(Some(opening));
    system.net()?.on_address(context, move |stage: &mut Stage, own| {
        // Once: an address may be told again.
        if own.is_some()
            && let Some(opening) = opening.lock().take()
        {
            stage.play = Some(opening());
            stage.go_on();
        }
    })?;
    Ok(())
}
