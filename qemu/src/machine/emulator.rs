//! The emulator: which QEMU is started, how, and which version it is.
//!
//! It is the one that `--qemu` or the environment variable [`VARIABLE`] names, or the program
//! [`QEMU`] of the search path. It is asked once a process what it is ([`probe`]); one that cannot run
//! the machines of this crate is refused before anything is built or booted.

mod probe;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::versions::{OLDEST, Version};

/// The emulator's program.
pub const QEMU: &str = "qemu-system-x86_64";
/// The environment variable that names the QEMU to use: a program or a folder, as for
/// [`Emulator::at`].
pub const VARIABLE: &str = "REFLEX_QEMU";

/// The processor that images are made for, as QEMU names it.
const TARGET: &str = "x86_64";
/// A program that has not answered for this long is not one that will; the computer may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where a folder has the program, and what lies beside it: the folder that has `share`.
const PLACES: [(&str, Option<&str>); 4] =
    [("", None), ("bin", Some("")), ("usr/bin", Some("usr")), ("usr/local/bin", Some("usr/local"))];
/// Firmware, below the folder that has the program's `bin`.
const FIRMWARE: [&str; 2] = ["share/qemu", "share/seabios"];
/// Libraries, below the same and below the root.
const LIBRARIES: [&str; 3] = ["lib/x86_64-linux-gnu", "lib64", "lib"];

/// A QEMU that can be used.
#[derive(Clone, Debug)]
pub struct Emulator {
    named: PathBuf,
    place: Place,
    version: Version,
}

/// Where a QEMU and what belongs to it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    program: PathBuf,
    firmware: Vec<PathBuf>,
    libraries: Vec<PathBuf>,
}

/// Why there is no emulator to use.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// It is not installed.
    #[error(
        "{QEMU} is not installed: run the command without --no-install to have it installed, \
         install your system's package (Debian: apt-get install qemu-system-x86), or name another \
         with --qemu or {VARIABLE}"
    )]
    Missing,
    /// The path that was named leads nowhere.
    #[error(
        "{path} was named as the QEMU to use (--qemu, {VARIABLE}), and there is no such file or \
         folder",
        path = .0.display()
    )]
    NotThere(PathBuf),
    /// The folder that was named has no program.
    #[error(
        "{folder} was named as the QEMU to use (--qemu, {VARIABLE}), and has no {QEMU}: neither in \
         it, nor in its bin, usr/bin or usr/local/bin",
        folder = .0.display()
    )]
    NoProgram(PathBuf),
    /// It cannot be started.
    #[error("{program} cannot be started: {source}", program = program.display())]
    NotRunnable {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not answer as a QEMU that emulates whole machines does.
    #[error(
        "{program} cannot be used: it does not answer as a QEMU that emulates a machine; it {how}",
        program = program.display()
    )]
    NotQemu {
        /// The program.
        program: PathBuf,
        /// What it did.
        how: String,
    },
    /// It emulates another processor.
    #[error(
        "{program} cannot be used: it emulates {target}, and images are made for {TARGET}",
        program = program.display()
    )]
    OtherTarget {
        /// The program.
        program: PathBuf,
        /// What it emulates.
        target: String,
    },
    /// It is too old.
    #[error(
        "{program} is QEMU {version}, which is too old: {}.{} is the oldest that can be used. Name a \
         newer one with --qemu or {VARIABLE}; a package unpacked into a folder will do",
        OLDEST.0, OLDEST.1, program = program.display()
    )]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: Version,
    },
}

impl Emulator {
    /// The QEMU at `path`, after having asked it what it is. `path` is its program, or a folder that
    /// has the program in it or in `bin`, `usr/bin` or `usr/local/bin`. The folder may be one that QEMU
    /// was installed into (`/usr/local`), or one that packages were unpacked into: what lies there
    /// in `share` and `lib` is used.
    ///
    /// # Errors
    /// When nothing is there, or it is no QEMU that can be used.
    pub fn at(path: &Path) -> Result<Emulator, EmulatorError> {
        let place = Place::find(path)?;
        let answer = probe::ask(&place, PATIENCE)?;
        let program = || place.program.clone();
        if answer.target != TARGET {
            return Err(EmulatorError::OtherTarget { program: program(), target: answer.target });
        }
        if !answer.version.is_usable() {
            return Err(EmulatorError::TooOld { program: program(), version: answer.version });
        }
        Ok(Emulator { named: absolute(path), place, version: answer.version })
    }

    /// The QEMU of this process: found and asked once.
    ///
    /// # Errors
    /// When there is none, or it cannot be used; it is then looked for again the next time.
    pub fn of_process() -> Result<&'static Emulator, EmulatorError> {
        static FOUND: OnceLock<Emulator> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(found);
        }
        let path = match named() {
            Some(path) => path,
            None => which::which(QEMU).map_err(|_| EmulatorError::Missing)?,
        };
        let emulator = Emulator::at(&path)?;
        Ok(FOUND.get_or_init(|| emulator))
    }

    /// The absolute path by which [`Emulator::at`] finds it.
    pub fn named(&self) -> &Path {
        &self.named
    }

    /// Its program.
    pub fn program(&self) -> &Path {
        &self.place.program
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// A command that starts it, told where its firmware and libraries are.
    pub fn command(&self) -> Command {
        self.place.command()
    }

    /// Whether it has this firmware in one of its folders.
    pub fn has_firmware(&self, name: &str) -> bool {
        let Ok(output) = self.command().args(["-L", "help"]).output() else { return false };
        let folders = String::from_utf8_lossy(&output.stdout);
        folders.lines().any(|folder| Path::new(folder.trim()).join(name).exists())
    }
}

/// `QEMU 7.2.22 (Debian 1:7.2+dfsg-7), /usr/bin/qemu-system-x86_64`.
impl fmt::Display for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QEMU {}, {}", self.version, self.place.program.display())
    }
}

impl Place {
    fn find(path: &Path) -> Result<Place, EmulatorError> {
        if !path.exists() {
            return Err(EmulatorError::NotThere(path.to_owned()));
        }
        let path = absolute(path);
        if !path.is_dir() {
            return Ok(Place { program: path, firmware: Vec::new(), libraries: Vec::new() });
        }
        let places = PLACES.iter().map(|(bin, home)| (path.join(bin).join(QEMU), home));
        let Some((program, home)) = places.into_iter().find(|(program, _)| program.is_file())
        else {
            return Err(EmulatorError::NoProgram(path));
        };
        let (mut firmware, mut libraries) = (Vec::new(), Vec::new());
        if let Some(home) = home.map(|home| path.join(home)) {
            let below = |folder: &Path, names: &[&str]| -> Vec<PathBuf> {
                let folders = names.iter().map(|name| folder.join(name));
                folders.filter(|folder| folder.is_dir()).collect()
            };
            firmware = below(&home, &FIRMWARE);
            libraries = below(&home, &LIBRARIES);
            libraries.extend(below(&path, &LIBRARIES));
            libraries.dedup();
        }
        Ok(Place { program, firmware, libraries })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for folder in &self.firmware {
            command.arg("-L").arg(folder);
        }
        if let Some(path) = self.library_path() {
            command.env(LIBRARY_PATH, path);
        }
        command
    }

    /// Its libraries before those of the environment.
    fn library_path(&self) -> Option<OsString> {
        if self.libraries.is_empty() {
            return None;
        }
        let others = std::env::var_os(LIBRARY_PATH).unwrap_or_default();
        let others = std::env::split_paths(&others).filter(|folder| !folder.as_os_str().is_empty());
        std::env::join_paths(self.libraries.iter().cloned().chain(others)).ok()
    }
}

const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

static CHOICE: OnceLock<PathBuf> = OnceLock::new();

/// Has this process use the QEMU at `path`, as [`Emulator::at`] takes it, whatever [`VARIABLE`] says. The
/// first choice stays.
pub fn choose(path: &Path) {
    CHOICE.get_or_init(|| absolute(path));
}

/// The QEMU that was named for this process, if any: an absolute path.
pub fn named() -> Option<PathBuf> {
    CHOICE.get().cloned().or_else(|| {
        let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty())?;
        Some(absolute(Path::new(&path)))
    })
}

/// The path from the root, since the working directory may be another when it is used.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder with these empty files in it.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let file = home.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        home
    }

    fn names(home: &Path, paths: &[PathBuf]) -> Vec<String> {
        let relative = paths.iter().map(|path| path.strip_prefix(home).unwrap());
        relative.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_program_is_taken_as_it_is() {
        let home = folder(&["my-qemu", "share/qemu/qboot.rom"]);
        let program = home.path().join("my-qemu");
        let place = Place::find(&program).unwrap();
        assert_eq!(place, Place { program, firmware: Vec::new(), libraries: Vec::new() });
        let place = Place::find(home.path());
        assert!(matches!(place, Err(EmulatorError::NoProgram(_))), "{place:?}");
    }

    #[test]
    fn an_installation_has_its_firmware_beside_its_programs() {
        let home = folder(&["bin/qemu-system-x86_64", "share/qemu/qboot.rom", "lib64/libslirp.so"]);
        let place = Place::find(home.path()).unwrap();
        assert_eq!(place.program, home.path().join("bin/qemu-system-x86_64"));
        assert_eq!(names(home.path(), &place.firmware), ["share/qemu"]);
        assert_eq!(names(home.path(), &place.libraries), ["lib64"]);
    }

    #[test]
    fn unpacked_packages_bring_firmware_and_libraries() {
        let home = folder(&[
            "usr/bin/qemu-system-x86_64",
            "usr/share/qemu/qboot.rom",
            "usr/share/seabios/bios.bin",
            "usr/lib/x86_64-linux-gnu/libslirp.so",
            "lib/x86_64-linux-gnu/libnl.so",
        ]);
        let place = Place::find(home.path()).unwrap();
        assert_eq!(names(home.path(), &place.firmware), ["usr/share/qemu", "usr/share/seabios"]);
        assert_eq!(
            names(home.path(), &place.libraries),
            ["usr/lib/x86_64-linux-gnu", "usr/lib", "lib/x86_64-linux-gnu", "lib"]
        );
        let command = place.command();
        let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(arguments.len(), 4);
        assert!(arguments[0] == "-L" && arguments[1].ends_with("usr/share/qemu"));
        let environment: Vec<_> = command.get_envs().collect();
        let (name, value) = environment[0];
        assert_eq!(name, LIBRARY_PATH);
        assert!(value.unwrap().to_string_lossy().starts_with(home.path().to_str().unwrap()));
    }

    #[test]
    fn nothing_is_looked_for_around_a_program_that_lies_in_the_folder_itself() {
        let home = folder(&["qemu-system-x86_64", "lib/libslirp.so"]);
        let place = Place::find(home.path()).unwrap();
        assert_eq!((place.firmware, place.libraries), (Vec::new(), Vec::new()));
    }

    /// The folder of a stand-in of the tests.
    fn fake(name: &str) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake")).join(name)
    }

    #[test]
    fn a_qemu_tells_its_version() {
        let emulator = Emulator::at(&fake("")).unwrap();
        assert_eq!(emulator.version().to_string(), "99.1.3");
        assert!(emulator.to_string().starts_with("QEMU 99.1.3, /"), "{emulator}");
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_a_sentence() {
        let error = Emulator::at(&fake("old")).unwrap_err();
        assert!(matches!(error, EmulatorError::TooOld { .. }));
        let text = error.to_string();
        assert!(text.contains("is QEMU 4.1.0 (Elder), which is too old: 7.2 is"), "{text}");
        let error = Emulator::at(&fake("aarch64")).unwrap_err();
        assert!(matches!(error, EmulatorError::OtherTarget { .. }));
        assert!(error.to_string().contains("it emulates aarch64"), "{error}");
        let error = Emulator::at(&fake("broken")).unwrap_err();
        assert!(matches!(error, EmulatorError::NotQemu { .. }));
        assert!(error.to_string().contains("libslirp.so.0"), "{error}");
    }

    #[test]
    fn what_leads_nowhere_is_named() {
        let error = Emulator::at(Path::new("/no/such/qemu")).unwrap_err();
        assert!(error.to_string().contains("/no/such/qemu"), "{error}");
    }
}
