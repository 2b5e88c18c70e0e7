//! `cargo reflex new`: an appliance outside this repository, ready to run, test and ship.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::console;

/// Every file of a new project: where it goes, and its text with `{{...}}` to fill in.
const FILES: [(&str, &str); 9] = [
    ("Cargo.toml", include_str!("../templates/new/Cargo.toml.in")),
    ("build.rs", include_str!("../templates/new/build.rs.in")),
    (".cargo/config.toml", include_str!("../templates/new/config.toml.in")),
    (".gitignore", include_str!("../templates/new/gitignore.in")),
    ("README.md", include_str!("../templates/new/README.md.in")),
    ("src/lib.rs", include_str!("../templates/new/src/lib.rs.in")),
    ("src/main.rs", include_str!("../templates/new/src/main.rs.in")),
    ("src/tests.rs", include_str!("../templates/new/src/tests.rs.in")),
    ("tests/image.rs", include_str!("../templates/new/tests/image.rs.in")),
];

/// Names that Cargo or the image's own crates have taken.
const TAKEN: [&str; 8] =
    ["reflex", "core", "alloc", "std", "test", "proc_macro", "proc-macro", "build"];

/// What `new` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo reflex new sensor\n  \
        cargo reflex new ~/appliances/sensor")]
pub struct Arguments {
    /// The appliance's name, or the folder to make, with the name as its last part
    #[arg(value_name = "NAME")]
    path: PathBuf,
}

/// Runs the subcommand.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let checkout = checkout()?;
    let name = create(&arguments.path, &checkout)?;
    let folder = arguments.path.display();
    console::step("Created", format!("the appliance `{name}` in {folder}"));
    console::note("Next", format!("cd {folder} && cargo reflex run"));
    Ok(ExitCode::SUCCESS)
}

/// The repository this command was built from: the new project builds against it.
fn checkout() -> Result<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let facade = checkout.join("apps/reflex/Cargo.toml");
    if !facade.is_file() {
        bail!(
            "the Reflex checkout this command was built from is gone ({} is missing): build the \
             command again with `cargo install --path qemu` in a checkout",
            facade.display()
        );
    }
    Ok(checkout.canonicalize()?)
}

/// Writes the project; returns its name.
fn create(folder: &Path, checkout: &Path) -> Result<String> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    check_name(name)?;
    if folder.exists() && folder.read_dir().map_or(true, |mut entries| entries.next().is_some()) {
        bail!("{} is there already: choose another name", folder.display());
    }
    let values = [
        ("name", name.to_owned()),
        ("crate", name.replace('-', "_")),
        ("facade", quoted(&checkout.join("apps/reflex"))?),
        ("manifest", quoted(&checkout.join("Cargo.toml"))?),
    ];
    for (path, template) in FILES {
        write(&folder.join(path), &filled(template, &values))?;
    }
    // The same versions as the checkout's: Cargo drops from it what the project does not use.
    let lock = checkout.join("Cargo.lock");
    if lock.is_file() {
        fs::copy(&lock, folder.join("Cargo.lock"))
            .with_context(|| format!("{} cannot be copied", lock.display()))?;
    }
    Ok(name.to_owned())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn filled(template: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(template.to_owned(), |text, (key, value)| {
        text.replace(&format!("{{{{{key}}}}}"), value)
    })
}

/// A path as a TOML string.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn check_name(name: &str) -> Result<()> {
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if !starts || !plain {
        bail!(
            "`{name}` is no name for an appliance: use lower-case letters, digits, - and _, a \
             letter first"
        );
    }
    if TAKEN.contains(&name) {
        bail!("the name `{name}` is taken: choose another");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_complete_and_nothing_is_left_to_fill_in() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("my-sensor");
        let checkout = checkout().unwrap();
        assert_eq!(create(&folder, &checkout).unwrap(), "my-sensor");
        for (path, _) in FILES {
            let text = fs::read_to_string(folder.join(path)).unwrap();
            assert!(!text.contains("{{"), "{path}: {text}");
        }
        let project = crate::project::Project::at(&folder).unwrap();
        let image = project.image(None).unwrap();
        assert_eq!(image.name, "my-sensor");
        assert!(!image.tests);
        let tests: Vec<&str> = project.test_images().map(|image| image.name.as_str()).collect();
        assert_eq!(tests, ["my-sensor-tests"]);
        assert_eq!(project.simulated, ["my-sensor"]);
        assert!(project.host_packages.is_empty());
        // It has one dependency, the facade, which its tests have once more.
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert_eq!(manifest.matches("path = \"/").count(), 2);
        let again = create(&folder, &checkout).unwrap_err().to_string();
        assert!(again.contains("there already"), "{again}");
    }

    #[test]
    fn names_are_those_cargo_takes() {
        for name in ["sensor", "my-sensor2", "a_b"] {
            check_name(name).unwrap();
        }
        for name in ["", "2x", "Sensor", "a b", "-a", "reflex", "core", "..", "é"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
