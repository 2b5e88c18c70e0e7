//! A link between two guests, with nobody of the host's in between: for measuring.
//!
//! It is a connection of QEMU's `stream` backend. (Its `dgram` backend makes a sender spin whenever
//! more frames are on their way than the host's `net.unix.max_dgram_qlen`, which is 10.)

use std::io;

use crate::machine::Network;

/// A link between two guests; its socket is gone with this value.
pub struct Cable {
    directory: tempfile::TempDir,
}

/// An end of a [`Cable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that has to be there first.
    Near,
    /// The other; it may be left and taken again.
    Far,
}

impl Cable {
    /// A link that nobody is connected to.
    ///
    /// # Errors
    /// When there is no place for its socket.
    pub fn new() -> io::Result<Cable> {
        Ok(Cable { directory: tempfile::Builder::new().prefix("reflex-cable-").tempdir()? })
    }

    /// What connects a machine with this end. A machine at the far end does not start unless one
    /// at the near end runs.
    pub fn network(&self, end: End) -> Network {
        let path = self.directory.path().join("cable").display().to_string().replace(',', ",,");
        let server = match end {
            End::Near => "on",
            End::Far => "off",
        };
        Network::Other(format!("stream,server={server},addr.type=unix,addr.path={path}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_near_end_listens_where_the_far_end_connects() {
        let cable = Cable::new().unwrap();
        let text = |end| match cable.network(end) {
            Network::Other(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(End::Near).replace("server=on", "server=off"), text(End::Far));
        let other = Cable::new().unwrap();
        assert!(
            matches!(other.network(End::Far), Network::Other(other) if other != text(End::Far))
        );
    }
}
