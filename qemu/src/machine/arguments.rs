//! QEMU's command line for a [`Machine`].

use std::ffi::OsString;

use super::option::{device, escaped};
use super::{Accel, Entropy, Machine, Medium, Model, Network, disk, versions};

/// All arguments; `tap_descriptor` is where the child finds a tap device opened for it,
/// `control_descriptor` the socket of its machine protocol.
pub(super) fn arguments(
    machine: &Machine,
    tap_descriptor: i32,
    control_descriptor: i32,
) -> Vec<OsString> {
    let mut list = Arguments(Vec::new());
    list.flag("-nodefaults");
    list.flag("-no-user-config");
    list.flag("-no-reboot");
    list.pair("-display", "none");
    list.pair("-M", machine_model(machine));
    list.pair(
        "-accel",
        match machine.accel {
            Accel::Tcg => "tcg",
            Accel::Kvm => "kvm",
        },
    );
    list.pair("-cpu", versions::processor(machine));
    list.pair("-m", format!("{}M", machine.memory_mib));
    list.pair("-smp", versions::processors(machine));
    if let Some(firmware) = versions::firmware(machine) {
        list.pair("-bios", firmware);
    }
    // The console is the process's standard output; a signal to QEMU is not the guest's.
    list.pair("-chardev", "stdio,id=console,signal=off");
    list.pair("-serial", "chardev:console");
    list.pair("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04");
    if matches!(machine.entropy, Entropy::All | Entropy::Device) {
        list.pair("-device", device(machine.model, "virtio-rng"));
    }
    if machine.model == Model::Microvm {
        list.pair("-global", "virtio-mmio.force-legacy=false");
    }
    network(&mut list, machine, tap_descriptor);
    for (option, value) in disk::arguments(machine) {
        list.pair(option, value);
    }
    if machine.has_watchdog() {
        // It resets the machine, and by `-no-reboot` that ends it.
        list.pair("-device", "i6300esb");
    }
    list.pair("-chardev", format!("socket,id=control,fd={control_descriptor}"));
    list.pair("-mon", "chardev=control,mode=control");
    if let Some(icount) = machine.icount {
        let sleep = if icount.sleep { "on" } else { "off" };
        list.pair("-icount", format!("shift={},sleep={sleep}", icount.shift));
    }
    if let Some(port) = machine.gdb {
        list.pair("-gdb", format!("tcp:127.0.0.1:{port}"));
        list.flag("-S");
    }
    medium(&mut list, machine);
    list.0.extend(machine.extra.iter().cloned());
    list.0
}

/// What is booted, and what it is told.
fn medium(list: &mut Arguments, machine: &Machine) {
    let line = command_line(machine);
    let (format, media) = match machine.medium {
        Medium::Kernel => {
            list.pair("-kernel", &machine.image);
            if !line.is_empty() {
                list.pair("-append", line);
            }
            return;
        }
        Medium::Raw => ("raw", "disk,snapshot=on"),
        Medium::Qcow2 => ("qcow2", "disk,snapshot=on"),
        Medium::Iso => ("raw", "cdrom,readonly=on"),
    };
    let mut drive = OsString::from(format!("if=ide,format={format},media={media},file="));
    drive.push(escaped(&machine.image));
    list.pair("-drive", drive);
    if !line.is_empty() {
        // Its words are lines there; and a comma would end the text.
        let lines = line.split_ascii_whitespace().collect::<Vec<_>>().join("\n").replace(',', ",,");
        list.pair("-fw_cfg", format!("name=opt/org.reflex/configuration,string={lines}"));
    }
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn pair(&mut self, flag: &str, value: impl Into<OsString>) {
        self.flag(flag);
        self.0.push(value.into());
    }
}

fn machine_model(machine: &Machine) -> &'static str {
    match (machine.model, machine.medium) {
        // What the image does not use is left out: the firmware then starts sooner. Graphics are
        // left as they are: without, SeaBIOS writes its greeting on the serial console.
        (Model::Q35, Medium::Kernel) => "q35,sata=off,usb=off,smbus=off,vmport=off",
        (Model::Q35, _) => "q35,usb=off,smbus=off,vmport=off",
        (Model::Pc, _) => "pc,usb=off,smbus=off,vmport=off",
        // No option ROM has anything to do: the firmware (qboot) runs none.
        (Model::Microvm, _) => "microvm,pic=on,pit=on,rtc=on,isa-serial=on,x-option-roms=off",
    }
}

fn network(list: &mut Arguments, machine: &Machine, tap_descriptor: i32) {
    let backend = match &machine.network {
        Network::None => return,
        Network::User(forwards) => {
            let mut backend = "user,id=net0".to_owned();
            for forward in forwards {
                backend += &format!(
                    ",hostfwd={}:{}-:{}",
                    forward.protocol,
                    forward.host_address(),
                    forward.guest_port
                );
            }
            backend
        }
        Network::Tap(tap) if tap.device().is_some() => {
            format!("tap,id=net0,fd={tap_descriptor}")
        }
        Network::Tap(tap) => {
            format!("tap,id=net0,ifname={},script=no,downscript=no", tap.name())
        }
        Network::Other(backend) => format!("{backend},id=net0"),
    };
    list.pair("-netdev", backend);
    let mac: Vec<String> = machine.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut card = device(machine.model, "virtio-net");
    card += &format!(",netdev=net0,mac={}", mac.join(":"));
    if machine.model != Model::Microvm {
        card += ",romfile=";
    }
    list.pair("-device", card);
    if let Some(file) = &machine.pcap {
        let mut dump = OsString::from("filter-dump,id=dump0,netdev=net0,file=");
        dump.push(escaped(file));
        list.pair("-object", dump);
    }
}

/// The kernel command line: the link's address first, so that one appended wins.
fn command_line(machine: &Machine) -> String {
    let mut parts = Vec::new();
    let words = || machine.append.iter().flat_map(|text| text.split_ascii_whitespace());
    if let Network::Tap(tap) = &machine.network
        && !words().any(|word| word.starts_with("ip="))
    {
        parts.extend(tap.guest_command_line());
    }
    parts.extend(machine.append.iter().cloned());
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Forward, Icount};

    fn text(machine: &Machine) -> String {
        let list = arguments(machine, 3, 4);
        list.iter().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn user_networking_forwards_on_loopback_only() {
        let machine = Machine::new("x")
            .network(Network::User(vec![Forward::tcp(8080, 80), Forward::udp(8007, 7)]));
        let text = text(&machine);
        assert!(text.contains(
            "-netdev user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:8007-:7"
        ));
        assert!(text.contains("virtio-net-pci,disable-legacy=on,netdev=net0"));
    }

    #[test]
    fn no_network_means_no_card() {
        let text = text(&Machine::new("x").pcap("frames.pcap"));
        assert!(!text.contains("net0") && !text.contains("virtio-net"));
    }

    #[test]
    fn microvm_takes_modern_mmio_devices() {
        let machine = Machine::new("x").model(Model::Microvm).network(Network::User(Vec::new()));
        let text = text(&machine);
        assert!(text.contains("-global virtio-mmio.force-legacy=false"));
        assert!(text.contains("virtio-net-device,netdev=net0"));
        assert!(!text.contains("pci"));
    }

    #[test]
    fn a_watchdog_is_where_it_can_be_and_is_wanted() {
        let watched = || Machine::new("x").watchdog();
        let has = |machine: &Machine| text(machine).contains("i6300esb");
        assert!(has(&watched()) && text(&watched()).contains("socket,id=control,fd=4"));
        assert!(has(&watched().append("watchdog=1")));
        assert!(!has(&Machine::new("x")));
        assert!(!has(&watched().model(Model::Microvm)), "no bus");
        assert!(!has(&watched().gdb(1234)), "a stop is no standstill");
        assert!(!has(&watched().append("log=off watchdog=0")));
    }

    #[test]
    fn a_capture_file_may_have_a_comma() {
        let machine = Machine::new("x").network(Network::User(Vec::new())).pcap("a,b.pcap");
        assert!(text(&machine).contains("file=a,,b.pcap"));
    }

    #[test]
    fn without_entropy_neither_source_is_left() {
        let text = text(&Machine::new("x").entropy(Entropy::None));
        assert!(text.contains("max,-rdrand") && !text.contains("virtio-rng"));
    }

    #[test]
    fn a_disk_or_an_iso_is_a_drive_and_told_by_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let boots = |name: &str, at: usize, signature: &[u8]| {
            let mut bytes = vec![0; 40_000];
            bytes[at..at + signature.len()].copy_from_slice(signature);
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            text(&Machine::new(path).model(Model::Pc).append("log=off a=b,c"))
        };
        let raw = boots("disk", 510, &[0x55, 0xaa]);
        assert!(raw.contains("-drive if=ide,format=raw,media=disk,snapshot=on,file="), "{raw}");
        assert!(raw.contains("name=opt/org.reflex/configuration,string=log=off\na=b,,c"), "{raw}");
        assert!(!raw.contains("-kernel") && !raw.contains("-append"), "{raw}");
        assert!(boots("qcow2", 0, b"QFI\xfb").contains("format=qcow2,media=disk"));
        assert!(boots("iso", 17 * 2048, b"\0CD001").contains("format=raw,media=cdrom"));
        assert!(boots("elf", 0, b"\x7fELF").contains("-kernel"));
    }

    #[test]
    fn appended_words_are_joined_and_counting_is_passed_on() {
        let machine = Machine::new("x")
            .append("test.list")
            .append("")
            .append("log=off")
            .icount(Icount { shift: 0, sleep: false });
        let text = text(&machine);
        assert!(text.ends_with("-append test.list log=off"), "{text}");
        assert!(text.contains("-icount shift=0,sleep=off"));
    }
}
