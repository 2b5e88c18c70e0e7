//! Work that keeps the computer's processors from the tests, to find out which depend on its speed.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Threads that do nothing but run, until this value ends.
pub(super) struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts so many of them.
    pub(super) fn start(count: u32) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let busy = |over: Arc<AtomicBool>| {
            move || {
                while !over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            }
        };
        let threads = (0..count).map(|_| thread::spawn(busy(over.clone()))).collect();
        Load { over, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_runs_as_long_as_it_is_wanted() {
        let load = Load::start(3);
        assert!(load.threads.iter().all(|thread| !thread.is_finished()));
        let over = load.over.clone();
        drop(load);
        // The threads have let go of it: none is left.
        assert_eq!(Arc::strong_count(&over), 1);
    }
}
