//! `cargo reflex image`: the bootable file of an appliance, stripped.
//!
//! A loader reads an image's segments and nothing else. So stripping is keeping the file up to
//! the end of its last segment: names, debug information and section tables lie behind.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use object::elf::{FileHeader64, SymbolSection};
use object::{LittleEndian, U16, U64, pod};

use crate::bootable::loaded_end;
use crate::build::build;
use crate::console;
use crate::project::Project;

/// What `image` is told.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file boots with `qemu-system-x86_64 -kernel FILE` and with every other\n\
        loader of PVH images; `cargo reflex run ./FILE` boots it, too.\n\n\
        Example:\n  cargo reflex image httpd -o httpd.elf"
)]
pub struct Arguments {
    /// The appliance's name; inside an appliance's folder it may be left out
    app: Option<String>,
    /// Where to write it [default: NAME.elf here]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the subcommand.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let project = Project::here()?;
    let image = project.image(arguments.app.as_deref())?;
    let built = build(image)?;
    let output = arguments.output.unwrap_or_else(|| format!("{}.elf", image.name).into());
    let bytes = std::fs::read(&built).with_context(|| format!("{}", built.display()))?;
    let stripped = strip(bytes)?;
    std::fs::write(&output, &stripped)
        .and_then(|()| std::fs::set_permissions(&output, PermissionsExt::from_mode(0o755)))
        .with_context(|| format!("{} cannot be written", output.display()))?;
    console::step("Wrote", format!("{} ({})", output.display(), size(stripped.len())));
    Ok(ExitCode::SUCCESS)
}

/// A size in bytes and in words.
fn size(bytes: usize) -> String {
    format!("{bytes} bytes, {:.1} KiB", bytes as f64 / 1024.0)
}

/// The image without what no loader reads.
///
/// # Errors
/// When it is not an ELF file of this kind, or has no PVH note and so would not boot.
pub fn strip(mut bytes: Vec<u8>) -> Result<Vec<u8>> {
    let end = loaded_end(&bytes).context("the image is not a bootable ELF file")?;
    bytes.truncate(end);
    let (header, _) = pod::from_bytes_mut::<FileHeader64<LittleEndian>>(&mut bytes)
        .map_err(|()| anyhow::anyhow!("no ELF header"))?;
    header.e_shoff = U64::new(LittleEndian, 0);
    header.e_shnum = U16::new(LittleEndian, 0);
    header.e_shstrndx = U16::new(LittleEndian, SymbolSection(0));
    Ok(bytes)
}
