//! Clients in good faith: connections that go on exchanging data, which is checked, whatever happens beside them.

use super::victim::{PATIENCE, Victim};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reflex_load::{Measured, Progress};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is asked of a load generator: to go on for as long as this says.
type Goes = Box<dyn Fn(Progress) -> bool>;

#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    over: AtomicBool,
}

/// Clients on their connections.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Crowd {
    /// Clients in the victim's network, served by `load` until they are told to stop. Waits until each has had an
    /// answer.
    pub(crate) fn gather<E: std::fmt::Debug>(
        victim: &Victim,
        load: impl FnOnce(Goes) -> Result<Measured, E> + Send + 'static,
    ) -> Self {
        allow_connections().expect("a limit may be raised to what is allowed");
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let work = move || {
            let goes_on = move |progress| {
                *told.progress.lock().expect("no holder panics") = progress;
                !told.over.load(Relaxed)
            };
            let measured = load(Box::new(goes_on)).expect("connections open");
            assert_eq!(measured.failures, 0, "{measured:?}");
        };
        // A thread is in the network of the one that starts it.
        let thread = victim.place.run(move || thread::spawn(work));
        let crowd = Self { shared, thread };
        let begun = Instant::now();
        while crowd.progress().least() == 0 {
            assert!(begun.elapsed() < PATIENCE, "not every client is answered");
            thread::sleep(Duration::from_millis(5));
        }
        crowd
    }

    /// How far they have come. None may have failed.
    pub(crate) fn progress(&self) -> Progress {
        let progress = self.shared.progress.lock().expect("no holder panics").clone();
        assert_eq!(progress.failed, 0, "a client was cut off, or was answered wrongly");
        assert!(!self.thread.is_finished(), "the clients have ended");
        progress
    }

    /// Waits until every client has been answered again.
    pub(crate) fn moves_on(&self) {
        let (begun, before) = (Instant::now(), self.progress());
        while self.waiting_since(&before) > 0 {
            assert!(begun.elapsed() < PATIENCE, "{} clients wait", self.waiting_since(&before));
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until clients have had so many answers more, on any connections.
    pub(crate) fn has_answers(&self, count: u64) {
        let (begun, before) = (Instant::now(), self.progress().all());
        while self.progress().all() < before + count {
            assert!(begun.elapsed() < PATIENCE, "no client is answered");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Clients that have not been answered since.
    pub(crate) fn waiting_since(&self, before: &Progress) -> usize {
        self.progress().waiting_since(before)
    }

    /// Ends the clients, which have to have been served well to the last.
    pub(crate) fn end(self) {
        self.progress();
        self.shared.over.store(true, Relaxed);
        self.thread.join().expect("the clients are content");
    }
}

/// Allows this process as many connections as it may have: thousands are more than the usual limit.
fn allow_connections() -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most.min(1 << 16), most)?)
}
