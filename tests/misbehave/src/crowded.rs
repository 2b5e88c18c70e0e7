//! Sessions that take more memory than there is for as many connections as may come.

use reflex::net::{ConnectionError, Session};
use reflex::prelude::*;

/// How many visits there have been.
#[derive(Default)]
pub(crate) struct Crowd {
    visits: u32,
}

/// What is kept of a connection: a page.
struct Visitor {
    number: u32,
    page: [u8; 900],
}

/// Listens on port 7 for more connections than there is event memory for.
pub(crate) fn serve(system: System) -> Result {
    let crowd = system.context("crowd", Crowd::default()).memory(6 << 10).build()?;
    system.tcp(7).connections(8).serve_each::<Visitor, _>(crowd)?;
    Ok(())
}

impl Session<Crowd> for Visitor {
    fn opened(crowd: &mut Crowd, _: &Connection) -> Option<Self> {
        crowd.visits += 1;
        Some(Self { number: crowd.visits, page: [crowd.visits as u8; _] })
    }

    fn received(&mut self, _: &mut Crowd, connection: &Connection) {
        let mut block = [0; 16];
        while let Ok(length @ 1..) = connection.read(&mut block) {
            connection.write(&block[..length]);
        }
    }

    fn over(self, _: &mut Crowd, _: &Connection, error: Option<ConnectionError>) {
        assert!(self.page.iter().all(|byte| u32::from(*byte) == self.number));
        match error {
            Some(ConnectionError::OutOfMemory) => info!("no memory for visit {}", self.number),
            _ => info!("visit {} is over", self.number),
        }
    }
}
