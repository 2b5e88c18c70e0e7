//! Disks that outlive the machine (FL-1, FL-8).

use crate::guest::{Guest, PATIENCE, machine};
use reflex_qemu::machine::{Disk, Model, Outcome};
use reflex_qemu::protocol::Line;
use std::fs;
use std::path::Path;

/// A file of zeroes of so many MiB.
fn image(folder: &Path, name: &str, mib: u64) -> std::path::PathBuf {
    let file = folder.join(name);
    fs::File::create(&file).and_then(|file| file.set_len(mib << 20)).expect("a file");
    file
}

fn boot(model: Model, disks: Vec<Disk>) -> Outcome {
    let machine = disks.into_iter().fold(machine("boots").model(model), |it, disk| it.disk(disk));
    Guest::start(machine).finish()
}

/// The count is kept over boots of all machines, on the second of two disks.
#[test]
fn a_number_outlives_the_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = image(folder.path(), "boots.img", 1);
    let other = image(folder.path(), "other.img", 2);
    for (count, model) in (1..).zip([Model::Q35, Model::Microvm, Model::Pc, Model::Microvm]) {
        let outcome = boot(model, vec![Disk::new(&other), Disk::new(&file)]);
        assert!(outcome.status.success(), "{}", outcome.tail(50));
        let expected = format!("started {count} times");
        assert!(outcome.lines.iter().any(|line| line.text == expected), "{}", outcome.tail(50));
        assert_eq!(fs::read(&file).expect("the file")[0], count);
    }
    assert!(fs::read(&other).expect("the file").iter().all(|byte| *byte == 0));
}

#[test]
fn without_its_disk_it_ends_with_a_sentence() {
    let outcome = boot(Model::Q35, vec![]);
    assert!(!outcome.status.success());
    let says = |line: &Line| line.text.contains("no disk or partition of that name");
    assert!(outcome.lines.iter().any(says), "{}", outcome.tail(50));
}

#[test]
fn a_disk_that_is_read_only_is_read_and_not_written_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = image(folder.path(), "boots.img", 1);
    let disk = Disk::new(&file).read_only();
    let mut guest = Guest::start(machine("boots").disk(disk));
    for line in ["started 1 times", "ReadOnly"] {
        let said = guest.running.wait_for_text(line, PATIENCE);
        said.unwrap_or_else(|error| panic!("{error}"));
    }
    guest.stop();
    assert!(fs::read(&file).expect("the file").iter().all(|byte| *byte == 0));
}
