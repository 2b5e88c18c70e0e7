//! `cargo reflex bench`: a run as small as there is.

use crate::guest::{Seats, tap};
use crate::tools::{outcome, require};
use reflex_qemu::build;
use reflex_qemu::machine::Emulator;
use reflex_qemu::project::cargo;
use std::path::Path;
use std::time::Duration;

/// The command builds itself first, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn a_small_run_names_its_emulator() {
    require();
    // What it measures, it measures on taps of its own: is that allowed?
    let image = build::image("httpd").unwrap_or_else(|error| panic!("{error:#}"));
    let Some(tap) = tap() else { return };
    drop(tap);
    let _alone = Seats::all();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("figures.json");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
    let mut command = cargo();
    command.args(["reflex", "bench", "start", "--pairs", "1", "--json"]).arg(&file);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command.env("CARGO_TARGET_DIR", target).env(build::variable("httpd"), image);
    let (success, output) = outcome(command, LIMIT);
    assert!(success, "{output}");

    let emulator = Emulator::of_process().unwrap_or_else(|error| panic!("{error}"));
    let version = emulator.version();
    let heading = format!("QEMU {version}");
    assert!(output.contains(&heading), "no {heading:?} in:\n{output}");
    let text = std::fs::read(&file).expect("the file is written");
    let figures: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    let figures = figures.as_array().expect("it is a list");
    let replies = || {
        let case = |figure: &&serde_json::Value| figure["case"].to_string().contains("first reply");
        figures.iter().filter(case)
    };
    for machine in ["q35", "microvm"] {
        let of_machine = |figure: &&serde_json::Value| figure["case"].to_string().contains(machine);
        let figure = replies().find(of_machine).unwrap_or_else(|| panic!("no {machine}: {output}"));
        assert!(figure["value"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
    }
    for figure in figures {
        assert_eq!(figure["parameters"]["qemu"], version.to_string(), "{figure}");
    }
}
