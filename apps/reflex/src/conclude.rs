//! What becomes of `main`'s return value.

use crate::{Error, System};
use core::fmt::Display;
use reflex_boot::exit;

/// What `main` may return.
pub trait Conclusion {
    /// `None` to stay alive, or the status to end with, the reason having been logged.
    fn status(self) -> Option<u8>;
}

impl Conclusion for () {
    fn status(self) -> Option<u8> {
        None
    }
}

impl Conclusion for Result<(), Error> {
    fn status(self) -> Option<u8> {
        self.err().map(|error| report(&error, error.status()))
    }
}

impl Conclusion for Result<(), &'static str> {
    fn status(self) -> Option<u8> {
        self.err().map(|reason| report(&reason, exit::MAIN_FAILED))
    }
}

fn report(reason: &dyn Display, status: u8) -> u8 {
    if status == exit::TOO_LITTLE_MEMORY {
        log::error!("too little memory: {reason}");
    } else {
        log::error!("main: {reason}");
    }
    status
}

/// Ends the image when `main` failed; else the image stays alive.
pub fn conclude(system: System, returned: impl Conclusion) {
    if let Some(status) = returned.status() {
        system.exit(status);
    }
}
