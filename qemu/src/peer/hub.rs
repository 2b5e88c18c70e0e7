//! A network that joins guests with one another, and with nothing else.
//!
//! It needs no rights and no address of the host's: the guests are clients of a socket in a
//! directory of its own, so any number of networks can exist at a time. Every frame goes to all the
//! others. Frames travel as QEMU's `stream` backend writes them: a length of 4 bytes, big-endian,
//! then the frame.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::machine::Network;

/// The longest frame that is passed on; a longer one ends its sender's connection.
const LONGEST_FRAME: usize = 64 * 1024 + 64;
/// A guest that takes nothing for so long is cut off, so that it does not hold the others up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A network between guests. It ends with this value.
pub struct Hub {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    directory: tempfile::TempDir,
}

/// The guests' connections, by the order in which they came.
#[derive(Default)]
struct Shared {
    guests: Mutex<BTreeMap<u64, UnixStream>>,
    over: AtomicBool,
}

impl Hub {
    /// A network without guests.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn new() -> io::Result<Hub> {
        let directory = tempfile::Builder::new().prefix("reflex-hub-").tempdir()?;
        let listener = UnixListener::bind(socket(&directory))?;
        let shared = Arc::new(Shared::default());
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Ok(Hub { shared, accepting: Some(accepting), directory })
    }

    /// What connects a machine with this network.
    pub fn network(&self) -> Network {
        let path = socket(&self.directory).display().to_string().replace(',', ",,");
        Network::Other(format!("stream,server=off,addr.type=unix,addr.path={path}"))
    }

    /// Puts a frame on the network, as if one more guest had sent it.
    pub fn inject(&self, frame: &[u8]) {
        self.shared.pass_on(None, &framed(frame));
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; when that fails it has ended already.
        let _ = UnixStream::connect(socket(&self.directory));
        for guest in self.shared.lock().values() {
            // One that has gone needs no farewell.
            let _ = guest.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn socket(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("hub")
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
    bytes.extend(frame);
    bytes
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for (number, guest) in (0..).zip(listener.incoming()) {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(guest) = guest else { continue };
        let Ok(sender) = guest.try_clone() else { continue };
        if sender.set_write_timeout(Some(PATIENCE)).is_err() {
            continue;
        }
        shared.lock().insert(number, sender);
        let shared = shared.clone();
        thread::spawn(move || {
            // However the connection ends: its guest is no longer there.
            let _ = shared.listen_to(number, guest);
            shared.lock().remove(&number);
        });
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, UnixStream>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what a guest sends, until its end.
    fn listen_to(&self, number: u64, guest: UnixStream) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(LONGEST_FRAME, guest);
        let mut bytes = vec![0; 4];
        loop {
            bytes.truncate(4);
            reader.read_exact(&mut bytes)?;
            let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
            if length > LONGEST_FRAME {
                return Err(io::ErrorKind::InvalidData.into());
            }
            bytes.resize(4 + length, 0);
            reader.read_exact(&mut bytes[4..])?;
            self.pass_on(Some(number), &bytes);
        }
    }

    /// Writes to all but one. A guest that does not take it whole would misread what follows, and
    /// is cut off.
    fn pass_on(&self, but: Option<u64>, bytes: &[u8]) {
        self.lock().retain(|&number, guest| {
            let stays = Some(number) == but || guest.write_all(bytes).is_ok();
            if !stays {
                // Its own thread then ends too; one that has gone needs no farewell.
                let _ = guest.shutdown(Shutdown::Both);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn join(hub: &Hub) -> UnixStream {
        let guest = UnixStream::connect(socket(&hub.directory)).unwrap();
        guest.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        guest
    }

    fn receive(guest: &mut UnixStream) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        guest.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        guest.read_exact(&mut frame)?;
        Ok(frame)
    }

    fn wait_for_guests(hub: &Hub, count: usize) {
        while hub.shared.lock().len() != count {
            thread::yield_now();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn frames_reach_all_others_whole_and_in_order(
            frames in prop::collection::vec((0usize..3, 0usize..3000, any::<u8>()), 1..30),
        ) {
            let hub = Hub::new().unwrap();
            let mut guests: Vec<UnixStream> = (0..3).map(|_| join(&hub)).collect();
            wait_for_guests(&hub, 3);
            for (from, length, byte) in frames {
                let frame = vec![byte; length];
                guests[from].write_all(&framed(&frame)).unwrap();
                for to in (0..3).filter(|&to| to != from) {
                    prop_assert_eq!(&receive(&mut guests[to]).unwrap(), &frame);
                }
            }
        }
    }

    #[test]
    fn a_guest_that_lies_about_a_length_is_cut_off_alone() {
        let hub = Hub::new().unwrap();
        let mut guests: Vec<UnixStream> = (0..2).map(|_| join(&hub)).collect();
        wait_for_guests(&hub, 2);
        guests[0].write_all(&[0xff; 4]).unwrap();
        wait_for_guests(&hub, 1);
        hub.inject(b"still here");
        assert_eq!(receive(&mut guests[1]).unwrap(), b"still here");
    }

    #[test]
    fn the_end_of_the_network_is_the_end_of_its_connections() {
        let hub = Hub::new().unwrap();
        let mut guest = join(&hub);
        wait_for_guests(&hub, 1);
        let directory = hub.directory.path().to_owned();
        drop(hub);
        assert!(receive(&mut guest).is_err());
        assert!(!directory.exists());
    }
}
