//! Each format of image is booted by SeaBIOS and by OVMF, on the machines that take disks, and answers.

use crate::place::Place;
use crate::programs::Programs;
use reflex_qemu::machine::{Firmware, Forward, Machine, Model, Network};
use reflex_qemu::protocol::Protocol;
use reflex_qemu::{build, cli};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long anything may take; UEFI alone takes some seconds of an idle host.
const PATIENCE: Duration = Duration::from_secs(120);

/// A place, a folder and UEFI's firmware.
struct Lab {
    place: Place,
    folder: tempfile::TempDir,
    uefi: PathBuf,
}

impl Lab {
    fn open() -> Option<Self> {
        let firmware = Programs::of("ovmf", &["ovmf"])?;
        let place = Place::new()?;
        let folder = tempfile::tempdir().expect("a folder");
        Some(Self { place, folder, uefi: firmware.path("usr/share/ovmf/OVMF.fd") })
    }

    /// `cargo reflex image` of `httpd`, into a file of this format.
    fn image(&self, format: &str) -> PathBuf {
        let built = build::image("httpd").unwrap_or_else(|error| panic!("{error:#}"));
        let file = self.folder.path().join(format!("httpd.{format}"));
        let (built, output) = (text(&built), text(&file));
        reflex(&["image", built, "--format", format, "--set", "log=debug", "-o", output]);
        file
    }

    /// The image answers, started by this firmware, and its log is as the configuration inside has it: with what
    /// developers read, or without.
    fn boots(&self, file: &Path, model: Model, firmware: Firmware, debug: bool) {
        let network = Network::User(vec![Forward::free(Protocol::Tcp, 80)]);
        let machine = Machine::new(file).model(model).firmware(firmware.clone()).network(network);
        let machine = machine.timeout(2 * PATIENCE);
        let told = format!("{}, {model:?}, {firmware:?}", file.display());
        let guest = self.place.run(move || machine.spawn().map_err(|error| error.to_string()));
        let mut guest = guest.unwrap_or_else(|error| panic!("{told}: {error}"));
        let listens = guest.wait_for_listen(Protocol::Tcp, 80, PATIENCE);
        listens.unwrap_or_else(|error| panic!("{told}: {error}"));
        guest.wait_for_address(PATIENCE).unwrap_or_else(|error| panic!("{told}: {error}"));
        let server = guest.endpoint(Protocol::Tcp, 80).expect("a forward");
        let page = self.place.run(move || get(server));
        assert!(page.starts_with("HTTP/1.1 200"), "{told}: {page}");
        let outcome = guest.kill();
        let log = outcome.tail(1000);
        assert!(log.contains(" DEBUG ") == debug && !outcome.crashed(), "{told}: {log}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn reflex(words: &[&str]) {
    let words = ["cargo-reflex"].iter().chain(words);
    let code = cli::main(words.map(Into::into));
    assert_eq!(code, ExitCode::SUCCESS, "its words are above");
}

fn get(server: SocketAddr) -> String {
    let mut stream = TcpStream::connect(server).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n").expect("room");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// BIOS and UEFI start the same file, on both machines.
fn format_boots(format: &str) {
    let Some(lab) = Lab::open() else { return };
    let file = lab.image(format);
    for model in [Model::Q35, Model::Pc] {
        lab.boots(&file, model, Firmware::Usual, true);
        lab.boots(&file, model, Firmware::File(lab.uefi.clone()), true);
    }
    reflex(&["image", "set", text(&file), "log=info"]);
    lab.boots(&file, Model::Q35, Firmware::Usual, false);
}

#[test]
fn a_raw_disk_boots_by_bios_and_uefi_and_its_configuration_is_changed() {
    format_boots("raw");
}

#[test]
fn a_qcow2_disk_boots_by_bios_and_uefi_and_its_configuration_is_changed() {
    format_boots("qcow2");
}

#[test]
fn an_iso_boots_by_bios_and_uefi_and_its_configuration_is_changed() {
    format_boots("iso");
}
