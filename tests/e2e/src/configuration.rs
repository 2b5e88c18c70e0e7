//! What an image is told beside its command line: by fw_cfg and by a module. Its sources, the strongest first: the
//! command line, fw_cfg's items, fw_cfg's configuration file, the module.

use crate::guest::{Guest, machine};
use reflex_qemu::machine::{Machine, Model, Outcome, Status};
use std::io::Write;
use tempfile::NamedTempFile;

/// An item of fw_cfg.
fn item(machine: Machine, key: &str, value: &str) -> Machine {
    machine.extra(["-fw_cfg", &format!("name=opt/org.reflex/{key},string={value}")])
}

fn file(content: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(content.as_ref()).expect("room for it");
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("text")
}

fn module(machine: Machine, file: &NamedTempFile) -> Machine {
    machine.extra(["-initrd", path(file)])
}

fn configuration(machine: Machine, file: &NamedTempFile) -> Machine {
    machine.extra(["-fw_cfg", &format!("name=opt/org.reflex/configuration,file={}", path(file))])
}

fn outcome(machine: Machine) -> Outcome {
    Guest::start(machine).finish()
}

/// The image ends with the status that the strongest source names.
#[test]
fn what_is_stronger_counts_on_both_machines() {
    let (weaker, weakest) = (file("status=13\n"), file("# of the module\n\nstatus = 14\n"));
    for model in [Model::Q35, Model::Microvm] {
        let with_module = || module(machine("misbehave").model(model), &weakest);
        let with_file = || configuration(with_module(), &weaker);
        let with_item = || item(with_file(), "status", "12");
        for (machine, status) in [
            (with_module(), 14),
            (with_file(), 13),
            (with_item(), 12),
            (with_item().append("status=11"), 11),
        ] {
            let outcome = outcome(machine);
            assert_eq!(outcome.status, Status::Exited(status), "{model:?}: {}", outcome.tail(20));
        }
    }
}

#[test]
fn a_secret_comes_by_a_file_and_is_printed_in_no_way() {
    const SECRET: &str = "correct horse battery staple";
    let token = file(format!("{SECRET}\n"));
    let item = format!("name=opt/org.reflex/token,file={}", path(&token));
    let machine = machine("misbehave").append("by=secret log=trace").extra(["-fw_cfg", &item]);
    let outcome = outcome(machine);
    let log = outcome.tail(1000);
    assert!(outcome.status.success(), "{log}");
    assert!(log.contains(&format!("{} bytes", SECRET.len())), "{log}");
    assert!(log.contains(r#"secret secret ["by", "log", "token"] false"#), "{log}");
    assert!(!log.contains("horse"), "{log}");
}

/// Each is refused before anything is started, with the source in a sentence.
#[test]
fn a_configuration_that_is_no_text_or_too_large_is_refused() {
    let (bytes, long) = (file(b"log=\xff"), file(vec![b'a'; 8192]));
    let zero = file(b"a=1\0b=2");
    let refused = |machine: Machine, text: &str| {
        let outcome = outcome(machine);
        assert_eq!(outcome.status, Status::Exited(103), "{text}: {}", outcome.tail(20));
        assert!(outcome.tail(3).contains(text), "{text}: {}", outcome.tail(20));
    };
    let boot_loader = "the configuration that the boot loader brought";
    let plain = || machine("hello");
    refused(module(plain(), &bytes), &format!("{boot_loader}: expected UTF-8 text"));
    refused(module(plain(), &zero), &format!("{boot_loader}: expected UTF-8 text"));
    refused(module(plain(), &long), &format!("{boot_loader}: more than 8191 bytes"));
    let by_file = "fw_cfg: the configuration file";
    refused(configuration(plain(), &bytes), &format!("{by_file}: expected UTF-8 text"));
    refused(configuration(plain(), &long), &format!("{by_file}: more than 8191 bytes"));
    refused(item(plain(), "nonsense", "1"), "nonsense: there is no such key");
    refused(item(plain(), "log", "loud"), "log: expected off, error");
}
