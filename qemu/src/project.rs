//! The project the command was started in: its images and their settings.
//!
//! An *image* is a binary of a package that depends on the crate `reflex`. What a package wants
//! of the command stands in its manifest:
//!
//! ```toml
//! [package.metadata.reflex]
//! forward = ["tcp:8080:80"]   # ports that `run` forwards on user networking
//! memory = 64                 # MiB that `run` and `test` give it
//! tests = true                # every binary runs in-image tests; or ["NAME", ...]
//! test-machines = ["q35", "microvm"]   # where they run; q35 unless said
//! ```
//!
//! and what a workspace wants in its root's:
//!
//! ```toml
//! [workspace.metadata.reflex]
//! host-profile = "host"       # Cargo's profile of tests on the host; its usual one unless said
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, TargetKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::machine::{Forward, Model};

/// The crate that makes images of its dependents.
const FACADE: &str = "reflex";
/// The feature with which it is for a simulated machine.
const TESTING: &str = "testing";

/// A Cargo workspace with at least one image.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its root folder.
    pub root: PathBuf,
    /// Every image in it.
    pub images: Vec<Image>,
    /// Packages without an image that have something to test on the host.
    pub host_packages: Vec<String>,
    /// Packages that simulate machines in their tests, with an image or without.
    pub simulated: Vec<String>,
    /// Other packages with images that also have a library with tests for the host.
    pub testable_libraries: Vec<String>,
    /// Cargo's profile of these tests, where it is not the usual one.
    pub host_profile: Option<String>,
    here: Option<String>,
}

/// One bootable binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The package.
    pub package: String,
    /// The binary.
    pub name: String,
    /// The package's manifest.
    pub manifest: PathBuf,
    /// The folder that Cargo builds it into.
    pub target: PathBuf,
    /// Whether it runs in-image tests (and is no appliance).
    pub tests: bool,
    /// The package's settings.
    pub settings: Settings,
}

/// `[package.metadata.reflex]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Ports to forward on user networking.
    pub forward: Option<Vec<Forward>>,
    /// Memory in MiB.
    pub memory: Option<u32>,
    /// Which binaries run in-image tests.
    pub tests: TestBinaries,
    /// MiB of a disk of zeroes, `scratch`, that each boot of these tests has.
    pub test_disk: Option<u32>,
    /// On which machines they run.
    pub test_machines: Vec<MachineName>,
}

/// `[workspace.metadata.reflex]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct WorkspaceSettings {
    host_profile: Option<String>,
}

/// Which binaries run in-image tests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TestBinaries {
    /// All or none.
    All(bool),
    /// These.
    Some(Vec<String>),
}

impl Default for TestBinaries {
    fn default() -> Self {
        TestBinaries::All(false)
    }
}

/// A machine's name in a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineName {
    /// [`Model::Q35`].
    Q35,
    /// [`Model::Microvm`].
    Microvm,
}

impl From<MachineName> for Model {
    fn from(name: MachineName) -> Model {
        match name {
            MachineName::Q35 => Model::Q35,
            MachineName::Microvm => Model::Microvm,
        }
    }
}

impl Settings {
    /// On which machines the tests run.
    pub fn machines(&self) -> Vec<Model> {
        if self.test_machines.is_empty() {
            return vec![Model::Q35];
        }
        self.test_machines.iter().map(|&name| name.into()).collect()
    }
}

/// Cargo, without what an outer `cargo run` has put into the environment for this program.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text.starts_with("CARGO_BIN_")
        {
            command.env_remove(&name);
        }
    }
    command
}

impl Project {
    /// The project that the current folder is in.
    pub fn here() -> Result<Project> {
        Project::at(&std::env::current_dir().context("the current folder cannot be found")?)
    }

    /// The project that `folder` is in.
    pub fn at(folder: &Path) -> Result<Project> {
        if !folder.ancestors().any(|folder| folder.join("Cargo.toml").is_file()) {
            bail!(
                "{} is not in a Reflex project: there is no Cargo.toml here or above\n\
                 change to one, or make one with `cargo reflex new NAME`",
                folder.display()
            );
        }
        let mut command = MetadataCommand::new();
        command.no_deps().current_dir(folder);
        let metadata = match command.exec() {
            Ok(metadata) => metadata,
            Err(cargo_metadata::Error::CargoMetadata { stderr }) => {
                bail!("cargo cannot read the project:\n{}", stderr.trim_end())
            }
            Err(error) => return Err(error).context("cargo cannot be asked about the project"),
        };
        Project::from_metadata(&metadata, folder)
    }

    fn from_metadata(metadata: &Metadata, folder: &Path) -> Result<Project> {
        let mut images = Vec::new();
        for package in metadata.workspace_packages() {
            images.extend(images_of(package, metadata.target_directory.as_std_path())?);
        }
        let root = metadata.workspace_root.clone().into_std_path_buf();
        if images.is_empty() {
            bail!(
                "{} is not a Reflex project: none of its packages has a binary and depends on \
                 `{FACADE}`\nmake a project with `cargo reflex new NAME`",
                root.display()
            );
        }
        let inside = |package: &&&Package| {
            package.manifest_path.parent().is_some_and(|home| folder.starts_with(home))
        };
        let packages = metadata.workspace_packages();
        let here = packages
            .iter()
            .filter(inside)
            .max_by_key(|package| package.manifest_path.components().count())
            .map(|package| package.name.to_string());
        let is_image =
            |package: &Package| images.iter().any(|image| *package.name == image.package);
        let testable = |package: &Package| package.targets.iter().any(|t| t.test || t.doctest);
        let testable_library =
            |package: &Package| package.targets.iter().any(|t| t.is_lib() && t.test);
        let simulated = names(packages.iter().copied().filter(|it| simulates(it) && testable(it)));
        let (with_image, without): (Vec<&Package>, Vec<&Package>) =
            packages.iter().copied().filter(|it| !simulates(it)).partition(|it| is_image(it));
        let host_packages = names(without.into_iter().filter(|package| testable(package)));
        let testable_libraries =
            names(with_image.into_iter().filter(|package| testable_library(package)));
        let wishes = of_manifest::<WorkspaceSettings>(&metadata.workspace_metadata)
            .with_context(|| format!("[workspace.metadata.reflex] of {}", root.display()))?;
        let host_profile = wishes.host_profile;
        Ok(Project {
            root,
            images,
            host_packages,
            simulated,
            testable_libraries,
            host_profile,
            here,
        })
    }

    /// The appliances: images that are no tests.
    pub fn appliances(&self) -> impl Iterator<Item = &Image> {
        self.images.iter().filter(|image| !image.tests)
    }

    /// The images that run in-image tests.
    pub fn test_images(&self) -> impl Iterator<Item = &Image> {
        self.images.iter().filter(|image| image.tests)
    }

    /// Whether nothing has been built of it yet.
    pub fn is_fresh(&self) -> bool {
        self.images.iter().all(Image::is_first)
    }

    /// The image of this name (a binary's, or a package's that has one appliance); without a
    /// name, the appliance of the current folder, or the only one.
    pub fn image(&self, name: Option<&str>) -> Result<&Image> {
        let Some(name) = name else { return self.usual_image() };
        if let Some(image) = self.images.iter().find(|image| image.name == name) {
            return Ok(image);
        }
        let of_package: Vec<&Image> =
            self.appliances().filter(|image| image.package == name).collect();
        match of_package[..] {
            [image] => Ok(image),
            [] => bail!("there is no image `{name}` in this project; there are: {}", self.names()),
            _ => bail!("the package `{name}` has several images; there are: {}", self.names()),
        }
    }

    fn usual_image(&self) -> Result<&Image> {
        let near: Vec<&Image> =
            self.appliances().filter(|image| Some(&image.package) == self.here.as_ref()).collect();
        let all: Vec<&Image> = self.appliances().collect();
        match (&near[..], &all[..]) {
            ([image], _) | ([], [image]) => Ok(image),
            _ => bail!("which image? name one of: {}", self.names()),
        }
    }

    fn names(&self) -> String {
        let mut names: Vec<&str> = self.images.iter().map(|image| image.name.as_str()).collect();
        names.sort_unstable();
        names.join(", ")
    }
}

impl Image {
    /// Whether no image has been built yet: what all stand on is then built, too.
    pub fn is_first(&self) -> bool {
        !self.target.join("release").exists()
    }
}

/// Whether a package's tests have the facade on the host.
fn simulates(package: &Package) -> bool {
    package.dependencies.iter().any(|dependency| {
        dependency.name == FACADE
            && dependency.kind == DependencyKind::Development
            && dependency.features.iter().any(|feature| feature == TESTING)
    })
}

fn names<'a>(packages: impl Iterator<Item = &'a Package>) -> Vec<String> {
    packages.map(|package| package.name.to_string()).collect()
}

/// The part `reflex` of a manifest's metadata.
fn of_manifest<T: Default + DeserializeOwned>(metadata: &Value) -> serde_json::Result<T> {
    metadata.get("reflex").map_or(Ok(T::default()), |value| serde_json::from_value(value.clone()))
}

fn images_of(package: &Package, built: &Path) -> Result<Vec<Image>> {
    let depends = package
        .dependencies
        .iter()
        .any(|dependency| dependency.name == FACADE && dependency.kind == DependencyKind::Normal);
    if !depends {
        return Ok(Vec::new());
    }
    let settings: Settings = of_manifest(&package.metadata).with_context(|| {
        format!("[package.metadata.reflex] of {} is not understood", package.manifest_path)
    })?;
    let binaries = package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Bin));
    let images = binaries.map(|target| Image {
        package: package.name.to_string(),
        name: target.name.clone(),
        manifest: package.manifest_path.clone().into_std_path_buf(),
        target: built.to_owned(),
        tests: match &settings.tests {
            TestBinaries::All(all) => *all,
            TestBinaries::Some(names) => names.contains(&target.name),
        },
        settings: settings.clone(),
    });
    Ok(images.collect())
}
