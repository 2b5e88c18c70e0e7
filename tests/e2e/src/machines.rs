//! The machines an image boots on, and the least of each that it takes.

use crate::guest::{Guest, PATIENCE, machine, tap, user};
use crate::http::{Http, assert_serves, site};
use crate::tools::{outcome, require};
use reflex_qemu::build;
use reflex_qemu::machine::{Emulator, Entropy, Firmware, Machine, Model, Network, QBOOT};
use reflex_qemu::protocol::Protocol;

fn serves(machine: Machine) {
    let mut guest = Guest::start(machine.network(user(&[(Protocol::Tcp, 80)])));
    assert_serves(guest.endpoint(Protocol::Tcp, 80));
    guest.stop();
}

#[test]
fn hello_says_hello_and_succeeds_on_both_machines() {
    for model in [Model::Q35, Model::Microvm] {
        let outcome = Guest::start(machine("hello").model(model)).finish();
        assert!(outcome.status.success(), "{model:?}: {}", outcome.tail(30));
        assert!(outcome.tail(5).contains("Hello from Reflex"), "{model:?}: {}", outcome.tail(5));
    }
}

/// Without the processor's generator the seed comes from a virtio device.
#[test]
fn a_virtio_entropy_device_alone_is_enough() {
    for model in [Model::Q35, Model::Microvm] {
        serves(machine("httpd").model(model).entropy(Entropy::Device));
    }
}

#[test]
fn the_processors_random_numbers_alone_are_enough() {
    serves(machine("httpd").entropy(Entropy::Processor));
}

/// This firmware leaves the devices' registers where no address is.
#[test]
fn q35_with_qboot() {
    serves(machine("httpd").firmware(Firmware::Qboot));
}

/// Without ACPI tables the devices are named on the command line.
#[test]
fn microvm_without_acpi() {
    serves(machine("httpd").model(Model::Microvm).extra(["-M", "acpi=off"]));
}

/// Without ACPI nothing turns a machine off, and without a device for it no status leaves it: it is reset, which
/// ends one that is not to start again.
#[test]
fn without_acpi_a_reset_is_the_way_out() {
    require();
    let file = build::image("hello").unwrap_or_else(|error| panic!("{error:#}"));
    for model in ["microvm,acpi=off,pic=on,pit=on,rtc=on,isa-serial=on", "pc,acpi=off"] {
        let emulator = Emulator::of_process().unwrap_or_else(|error| panic!("{error}"));
        let mut command = emulator.command();
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        command.args(["-M", model, "-accel", "tcg", "-cpu", "max", "-m", "64M", "-bios", QBOOT]);
        command.args(["-serial", "stdio", "-kernel"]).arg(&file);
        let (success, output) = outcome(command, PATIENCE);
        assert!(success && output.contains("#! exit 0"), "{model}: {output}");
    }
}

/// The platform's access to memory, without an IOMMU and with one that nobody has programmed, and
/// notifications by ports, which come first: what a PCI device may insist on or offer.
#[test]
fn pci_devices_of_several_shapes() {
    serves(machine("httpd").extra(["-global", "virtio-net-pci.iommu_platform=on"]));
    let behind = ["-device", "intel-iommu", "-global", "virtio-net-pci.iommu_platform=on"];
    serves(machine("httpd").extra(behind));
    serves(machine("httpd").extra(["-global", "virtio-net-pci.modern-pio-notify=on"]));
}

/// A microvm that has PCI beside its slots for devices.
#[test]
fn microvm_with_pci() {
    serves(machine("httpd").model(Model::Microvm).extra(["-M", "pcie=on"]));
}

#[test]
fn several_processors_are_no_obstacle() {
    serves(machine("httpd").cpus(4));
}

#[test]
fn much_memory_is_no_obstacle() {
    serves(machine("httpd").memory_mib(3500));
}

#[test]
fn four_mebibytes_serve_sixteen_connections() {
    let Some(tap) = tap() else { return };
    let machine = machine("httpd").memory_mib(4).network(Network::Tap(tap));
    let mut guest = Guest::start(machine);
    let server = guest.endpoint(Protocol::Tcp, 80);
    let mut clients: Vec<Http> = (0..16).map(|_| Http::connect(server)).collect();
    let page = site("index.html");
    for _ in 0..5 {
        clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: g\r\n\r\n"));
        for client in &mut clients {
            let response = client.response("GET");
            assert_eq!((response.status, &response.body), (200, &page));
        }
    }
    guest.stop();
}
