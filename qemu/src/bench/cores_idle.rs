//! `cores-idle`: what the cores of an idle image execute. It is to be nothing.
//!
//! An image that waits for a line on its console is booted with four processors. QEMU then notes every block of
//! instructions that a core executes (`log exec,nochain`), in a file; what comes there while nothing is asked of the
//! image is the figure, for each core. That QEMU does note is seen from a line that is typed afterwards.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Report;
use super::figure::{Figure, Goal};
use crate::build;
use crate::machine::{Machine, Model, Running};

/// The image that waits for what is typed.
const IMAGE: &str = "guest-typing";
const CORES: u32 = 4;
/// How long the image may finish what it has begun, and for how long it is then looked at.
const SETTLING: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(5);
/// How long anything may take that is waited for, and the whole.
const PATIENCE: Duration = Duration::from_secs(60);
const LIFETIME: Duration = Duration::from_secs(180);

/// Measures our image on both machines.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let image = build::image(IMAGE)?;
    for (name, model) in [("q35", Model::Q35), ("microvm", Model::Microvm)] {
        let blocks = executed(&image, model).with_context(|| name.to_owned())?;
        for (core, blocks) in blocks.iter().enumerate() {
            let value = *blocks as f64 / IDLE.as_secs_f64();
            let figure =
                Figure::new("cores-idle", format!("{name}, core {core}"), value, "blocks/s");
            report.add(figure.parameter("seconds", IDLE.as_secs()).goal(Goal::AtMost(0.0)));
        }
    }
    Ok(())
}

/// How many blocks of instructions each core executes while the image idles.
fn executed(image: &Path, model: Model) -> Result<Vec<usize>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("executed");
    let machine = Machine::new(image).model(model).cpus(CORES).timeout(LIFETIME);
    let mut running = machine.spawn()?;
    running.wait_for_text(&format!("{CORES} processors"), PATIENCE)?;
    running.wait_for_input(PATIENCE)?;
    running.note_execution(&file)?;
    sleep(SETTLING);
    let before = counted(&file)?;
    sleep(IDLE);
    let after = counted(&file)?;
    see_that_it_notes(&mut running, &file, &after)?;
    running.kill();
    Ok(after.iter().zip(before).map(|(after, before)| after - before).collect())
}

/// The line that is typed is read by the first core, of which more is to be noted then.
fn see_that_it_notes(running: &mut Running, file: &Path, before: &[usize]) -> Result<()> {
    running.send_line("awake")?;
    running.wait_for_text("typed: awake", PATIENCE)?;
    ensure!(counted(file)?[0] > before[0], "QEMU notes nothing of what is executed");
    Ok(())
}

/// How many blocks are noted of each core.
fn counted(file: &Path) -> Result<Vec<usize>> {
    match fs::read(file) {
        Ok(text) => Ok(count(&String::from_utf8_lossy(&text))),
        // QEMU makes the file when it has something to write.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(count("")),
        Err(error) => Err(error.into()),
    }
}

/// QEMU writes a line for each: `Trace CORE: ADDRESS [...]`.
fn count(text: &str) -> Vec<usize> {
    let mut blocks = vec![0; CORES as usize];
    for line in text.lines() {
        let core = line.strip_prefix("Trace ").and_then(|rest| rest.split_once(':'));
        let place = core.and_then(|(number, _)| blocks.get_mut(number.parse::<usize>().ok()?));
        if let Some(place) = place {
            *place += 1;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_by_core() {
        let text = "Trace 0: 0x7f0000000000 [0000000000000000/000000000016a0ce/0x40c0b0]\n\
                    Trace 3: 0x7f0000000000 [...]\nTrace 0: 0x1 []\nTrace 9: x\nLinking TBs\nTrace 1";
        assert_eq!(count(text), [2, 0, 0, 1]);
    }
}
