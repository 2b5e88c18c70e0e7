//! `cargo reflex image`: an appliance as a file, in a [format](Format) of the place where it is to boot.
//!
//! An ELF file is [stripped](strip). Beside each file lies what it is made of ([`sbom`]). A disk and an ISO have a boot loader ([`loader`]), by BIOS and by UEFI, and a
//! [configuration](configuration) that can be changed afterwards ([`set`]): all three lie in a FAT [`volume`], in a
//! [`disk`] with a partition table or in an [`iso`].

mod configuration;
mod disk;
mod iso;
mod loader;
mod qcow2;
mod sbom;
mod set;
mod strip;
mod volume;
mod whole;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::build::build;
use crate::console;
use crate::project::{Image, Project};
use configuration::{Area, Word};
use loader::Loader;

pub use strip::strip;

/// What `image` is told.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "An ELF file boots with `qemu-system-x86_64 -kernel FILE` and with every other loader of\n\
        PVH or Multiboot2 images; a raw or qcow2 disk and an ISO boot by BIOS and by UEFI.\n\
        `cargo reflex run ./FILE` boots each of them.\n\n\
        Examples:\n  \
        cargo reflex image httpd -o httpd.elf\n  \
        cargo reflex image httpd --format qcow2 --set ip=10.0.0.2/24\n  \
        cargo reflex image set httpd.qcow2 ip=10.0.0.3/24 log=warn"
)]
pub struct Arguments {
    /// The appliance's name, or a bootable ELF file; inside an appliance's folder it may be left out
    app: Option<String>,
    /// The kind of file
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where to write it [default: NAME.FORMAT here]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A configuration to put into a disk or an ISO: lines `key=value`
    #[arg(long, value_name = "FILE")]
    configuration: Option<PathBuf>,
    /// A key to put into the configuration of a disk or an ISO. May be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    words: Vec<Word>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Change the configuration inside a disk or an ISO, without a build
    Set(set::Arguments),
}

/// What kind of file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// An executable, for hypervisors that load it themselves
    #[default]
    Elf,
    /// A disk as it is
    Raw,
    /// A disk in QEMU's format
    Qcow2,
    /// An optical disc
    Iso,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Elf => "elf",
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Iso => "iso",
        }
    }
}

/// Runs the subcommand.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    if let Some(Command::Set(arguments)) = arguments.command {
        return set::run(&arguments);
    }
    // What can fail at once comes before what takes time.
    let format = arguments.format;
    let area = area(&arguments)?;
    let (image, built) = source(arguments.app.as_deref())?;
    let bytes = std::fs::read(&built).with_context(|| format!("{}", built.display()))?;
    let stripped = strip(&bytes)?;
    let file = match format {
        Format::Elf => stripped,
        Format::Raw => disk::write(&stripped, &area, &Loader::ensure()?)?,
        Format::Qcow2 => qcow2::write(&disk::write(&stripped, &area, &Loader::ensure()?)?),
        Format::Iso => iso::write(&stripped, &area, &Loader::ensure()?)?,
    };
    let name = image.as_ref().map(|image| image.name.clone()).or_else(|| stem(&built));
    let name = name.with_context(|| format!("{} has no name", built.display()))?;
    let usual = || format!("{name}.{}", format.extension()).into();
    let output = arguments.output.clone().unwrap_or_else(usual);
    if let Some(image) = &image {
        let packages =
            if format == Format::Elf { Vec::new() } else { Loader::ensure()?.packages()? };
        whole::write(&sbom::place(&output), &sbom::write(image, &file, &packages)?, 0o644)?;
    }
    whole::write(&output, &file, if format == Format::Elf { 0o755 } else { 0o644 })?;
    console::step("Wrote", format!("{} ({})", output.display(), size(file.len())));
    Ok(ExitCode::SUCCESS)
}

/// An appliance, and the file that was built of it; of a file nobody knows what it was built of.
fn source(app: Option<&str>) -> Result<(Option<Image>, PathBuf)> {
    if let Some(file) = app.filter(|app| app.contains('/')) {
        return Ok((None, file.into()));
    }
    let image = Project::here()?.image(app)?.clone();
    let built = build(&image)?;
    Ok((Some(image), built))
}

fn stem(file: &Path) -> Option<String> {
    file.file_stem().map(|name| name.to_string_lossy().into_owned())
}

/// The configuration that the file is to have.
fn area(arguments: &Arguments) -> Result<Area> {
    let said = arguments.configuration.is_some() || !arguments.words.is_empty();
    if arguments.format == Format::Elf && said {
        bail!(
            "an ELF file has no configuration inside: whatever loads it gives it one, on the kernel command \
             line, as a module or by fw_cfg (docs/deploying.md)"
        );
    }
    let mut area = match &arguments.configuration {
        Some(path) => Area::read(path)?,
        None => Area::default(),
    };
    area.set(&arguments.words)?;
    Ok(area)
}

/// A size in bytes and in words.
fn size(bytes: usize) -> String {
    format!("{bytes} bytes, {:.1} KiB", bytes as f64 / 1024.0)
}
