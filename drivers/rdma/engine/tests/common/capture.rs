//! Captured frames.

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use std::fs::File;
use std::path::PathBuf;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// A capture's RoCEv2 packets, from the IP header on, in the order they were captured.
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) packets: Vec<Vec<u8>>,
}

/// Whether these are the repository's, of which more is known than they say.
pub(crate) fn are_ours() -> bool {
    std::env::var_os("REFLEX_CAPTURES").is_none()
}

/// Every capture of the folder that `REFLEX_CAPTURES` names, by default the repository's.
pub(crate) fn captures() -> Vec<Capture> {
    let folder = match std::env::var_os("REFLEX_CAPTURES") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../captures")),
    };
    let entries = folder.read_dir().unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "pcap"));
    files.sort();
    assert!(!files.is_empty(), "no capture in {folder:?}");
    files.iter().map(read).collect()
}

fn read(path: &PathBuf) -> Capture {
    let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
    let mut reader = PcapReader::new(File::open(path).expect("a readable file")).expect(&name);
    assert_eq!(reader.header().datalink, DataLink::ETHERNET, "{name}");
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect(&name);
        // A frame that was cut short by the capture says nothing.
        if packet.data.len() == packet.orig_len as usize {
            let ip = packet.data.get(ETHERNET..).unwrap_or(&[]);
            if reflex_rdma_wire::is_roce(ip) {
                packets.push(ip.to_vec());
            }
        }
    }
    Capture { name, packets }
}
