//! Scripts of packets: what arrives, what has to leave, and when (`scripts/README.md` has the
//! language).
//!
//! `language` reads a script; `packet` is what its packets are, `packet_text` how they are read,
//! `build` makes frames of them and `describe` makes them of frames. `runner` plays a script to a host,
//! of which `application` is the application.

mod application;
mod build;
mod describe;
mod language;
mod names;
mod numbers;
mod packet;
mod packet_text;
mod runner;
mod trials;

use std::path::{Path, PathBuf};

/// There are at least so many.
const SCRIPTS: usize = 150;
/// The peer's first sequence numbers with which each is played: the second wraps around soon.
const PEERS: [u32; 2] = [1_000_000, u32::MAX - 500];

/// All scripts: names as `rfc9293/syn_on_established`, and files.
fn scripts() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(&root).expect("the scripts").flatten() {
        let Ok(files) = std::fs::read_dir(folder.path()) else { continue };
        for file in files.flatten().map(|file| file.path()) {
            let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
            assert!(
                file.extension().is_some_and(|it| it == "script"),
                "{}: no script",
                file.display()
            );
            found.push((format!("{}/{stem}", folder.file_name().to_string_lossy()), file));
        }
    }
    found.sort();
    found
}

/// Reads the script of a name and plays it: what is wrong, if something is.
fn play(name: &str, text: &str, seed: u64) -> Result<(), String> {
    let rfc = name.strip_prefix("rfc").and_then(|rest| rest.split('/').next()?.parse().ok());
    let rfc = rfc.ok_or_else(|| format!("{name}: its folder is no rfcNUMBER"))?;
    let script = language::script(text, rfc)
        .map_err(|nonsense| format!("{name}.script, line {}: {}", nonsense.line, nonsense.why))?;
    for peer in PEERS {
        runner::run(&script, seed, peer).map_err(|why| format!("{name}.script, {why}"))?;
    }
    Ok(())
}

/// `REFLEX_SCRIPT=PART` plays those with that in their names, `REFLEX_SEED=N` with another seed.
#[test]
fn every_script_holds() {
    let seed = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let part = std::env::var("REFLEX_SCRIPT").unwrap_or_default();
    let all = scripts();
    assert!(all.len() >= SCRIPTS, "{} scripts, and there are to be {SCRIPTS}", all.len());
    let mut failures = Vec::new();
    let mut played = 0;
    for (name, file) in all.iter().filter(|(name, _)| name.contains(&part)) {
        let text = std::fs::read_to_string(file).expect("text");
        let result = play(name, &text, seed);
        println!("{name}: {}", if result.is_ok() { "holds" } else { "FAILS" });
        failures.extend(result.err());
        played += 1;
    }
    println!("{played} scripts played, {} of them fail; seed {seed}", failures.len());
    assert!(played > 0, "no script has {part:?} in its name");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
