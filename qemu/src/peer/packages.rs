//! Debian packages: which are needed, download, unpack. All flavours' packages are downloaded at
//! once, so that they come from one state of Debian's archive. Nothing is installed, and apt works on
//! lists of its own in the build directory, so that neither root's rights nor a recent
//! `apt-get update` are needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::recipe::{self, Flavour};

/// Downloads the packages of all recipes into `out`; `state` is apt's directory.
pub(crate) fn download(out: &Path, state: &Path) -> Result<()> {
    let apt = Apt::new(state)?;
    let packages = apt.closure()?;
    eprintln!("  downloading {} Debian packages", packages.len());
    run(apt.command("apt-get").arg("download").args(&packages).current_dir(out))?;
    Ok(())
}

/// Unpacks what was downloaded into `root`. Returns the names of the package files, one a line.
pub(crate) fn unpack(downloads: &Path, root: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(downloads)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut names = String::new();
    for file in &files {
        run(Command::new("dpkg-deb").arg("--extract").arg(file).arg(root))?;
        names.push_str(&file.file_stem().unwrap_or_default().to_string_lossy());
        names.push('\n');
    }
    Ok(names)
}

/// Downloads packages into `out`, with all that is not installed of what they need: programs that are
/// to run on this computer stand on its libraries.
pub(crate) fn download_beside_installed(names: &[&str], out: &Path, state: &Path) -> Result<()> {
    let apt = Apt::new(state)?;
    let status = "Dir::State::status=/var/lib/dpkg/status";
    let mut simulate = apt.command("apt-get");
    simulate.args(["-o", status, "install", "--simulate", "--reinstall"]);
    let plan = run(simulate.arg("--no-install-recommends").args(names))?;
    let packages = planned(&String::from_utf8_lossy(&plan));
    eprintln!("  downloading {} Debian packages", packages.len());
    run(apt.command("apt-get").arg("download").args(&packages).current_dir(out))?;
    Ok(())
}

/// What `apt-get install --simulate` would install, as `name=version`.
fn planned(output: &str) -> Vec<String> {
    let package = |line: &str| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let version = rest.split_once('(')?.1.split_whitespace().next()?;
        Some(format!("{name}={version}"))
    };
    output.lines().filter_map(package).collect()
}

/// Runs `command`; its output is shown only when it fails.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} cannot be run"))?;
    ensure!(
        output.status.success(),
        "{program} failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// apt with state of its own.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(state: &Path) -> Result<Self> {
        for program in ["apt-get", "apt-cache", "dpkg-deb"] {
            if Command::new(program).arg("--version").output().is_err() {
                bail!(
                    "it is made of Debian packages, and {program} is not on this machine: run this \
                     on Debian or Ubuntu, or copy the directory peer-{:016x} from the cache of a \
                     machine that has built it (~/.cache/reflex there) into this one's",
                    recipe::version()
                );
            }
        }
        for directory in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(state.join(directory))?;
        }
        let path = |name: &str| state.join(name).display().to_string();
        let options = [
            format!("Dir::State={}", path("")),
            format!("Dir::State::lists={}", path("lists")),
            format!("Dir::Cache={}", path("")),
            format!("Dir::Cache::archives={}", path("archives")),
            // The build directory is not readable by apt's own user.
            "APT::Sandbox::User=".to_string(),
        ];
        let apt = Self { options: options.into() };
        eprintln!("  reading Debian's package lists");
        // Without the option it is content with lists it could not fetch.
        let mut update = apt.command("apt-get");
        run(update.args(["-o", "APT::Update::Error-Mode=any", "update"]))
            .context("Debian's package lists cannot be had")?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-q").env("LC_ALL", "C");
        for option in &self.options {
            command.arg("-o").arg(option);
        }
        command
    }

    fn depends(&self, package: &str) -> Result<Vec<String>> {
        let output = run(self.command("apt-cache").arg("depends").arg(package))?;
        Ok(dependencies(&String::from_utf8_lossy(&output)))
    }

    /// The recipes' packages, the kernel, and the libraries all of these depend on.
    fn closure(&self) -> Result<BTreeSet<String>> {
        let mut closure = BTreeSet::new();
        let kernels = self.depends(recipe::KERNEL_PACKAGE)?;
        let kernel = kernels.iter().find(|name| name.starts_with("linux-image-"));
        closure.insert(kernel.context("Debian's lists name no kernel")?.clone());
        let packages = Flavour::ALL.iter().flat_map(|flavour| flavour.recipe().packages);
        let mut open: Vec<String> = packages.map(|&name| name.into()).collect();
        while let Some(package) = open.pop() {
            let depends = self.depends(&package)?;
            if closure.insert(package) {
                open.extend(depends.into_iter().filter(|name| is_library(name)));
            }
        }
        Ok(closure)
    }
}

/// Only libraries are followed: what a program needs else (users, scripts) is our init's part.
fn is_library(package: &str) -> bool {
    package.starts_with("lib") || package == "zlib1g"
}

/// The packages that the output of `apt-cache depends` names as needed.
fn dependencies(output: &str) -> Vec<String> {
    let needed = output.lines().filter_map(|line| {
        let line = line.trim_start_matches([' ', '|']);
        line.strip_prefix("Depends: ").or_else(|| line.strip_prefix("PreDepends: "))
    });
    // `<name>` is a virtual package: its providers follow on lines of their own.
    needed.filter(|name| !name.starts_with('<')).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_and_virtual_packages_left_out() {
        let output = "nginx\n  Depends: libc6\n |Depends: zlib1g\n  PreDepends: <virtual>\n    \
                      provider\n  Breaks: nginx-core\n  Recommends: iproute2\n";
        assert_eq!(dependencies(output), ["libc6", "zlib1g"]);
    }

    #[test]
    fn a_plan_is_read_whether_packages_are_new_or_not() {
        let output = "Inst liba (1.0-2 Debian:12.1/stable [amd64])\n\
                      Inst b [1.0] (2:1.1 Debian [amd64])\nConf b (2:1.1 Debian [amd64])\n";
        assert_eq!(planned(output), ["liba=1.0-2", "b=2:1.1"]);
    }

    #[test]
    fn a_failing_command_shows_its_own_words() {
        let error = run(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]));
        assert!(error.unwrap_err().to_string().contains("no such thing"));
    }
}
