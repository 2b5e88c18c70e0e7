//! `cargo reflex test`: everything there is to test, in one report.
//!
//! Three parts, each a file: programs of the host ([`host`]), tests inside images ([`guest`]),
//! and end-to-end tests, which are host programs that boot images themselves. What cannot run
//! has failed, unless `--allow-skip` is given; then it is named and counted apart.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::build::{build, variable};
use crate::machine::Model;
use crate::packages::{Installing, Package, require};
use crate::project::{Image, Project};
use crate::{console, namespace};

pub mod guest;
mod host;
mod tally;

use guest::TestImage;
use host::CargoTest;
use tally::{Skipping, Tally};

/// The package of this repository whose tests boot images themselves.
const END_TO_END: &str = "reflex-e2e";
/// What end-to-end tests drive guests with.
const CLIENTS: [Package; 5] =
    [Package::Qemu, Package::Curl, Package::ApacheBench, Package::Wrk, Package::Ping];
/// Tells tests of the host that they may skip what this computer does not allow.
pub const ALLOW_SKIP: &str = "REFLEX_ALLOW_SKIP";

/// What `test` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo reflex test\n  \
        cargo reflex test preempt          tests with `preempt` in their names\n  \
        cargo reflex test --seed 42        repeats a run's random choices")]
pub struct Arguments {
    /// Only tests with this in their names
    filter: Option<String>,
    /// Let pass what this machine cannot run, naming it
    #[arg(long)]
    allow_skip: bool,
    /// Seed of all random choices [default: a new one, printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Runs the subcommand.
pub fn run(arguments: Arguments, installing: Installing) -> Result<ExitCode> {
    let project = Project::here()?;
    let seed = arguments.seed.unwrap_or_else(new_seed);
    console::note("Seed", format!("{seed} (repeat with --seed {seed})"));
    let skipping = if arguments.allow_skip { Skipping::Allowed } else { Skipping::Fails };
    let means = Means::provide(&project, installing);
    let run = Run { project, arguments, means, skipping, seed };
    let mut parts = vec![("host", run.host_tests()?), ("image", run.image_tests())];
    if has_end_to_end(&run.project) {
        parts.push(("end-to-end", run.end_to_end_tests()?));
    }
    Ok(run.report(&parts))
}

/// What tests need beside what is built.
struct Means {
    emulator: Result<()>,
    clients: Result<()>,
    network: Result<()>,
}

impl Means {
    /// Sees to it that there is what the project's tests need. First of all: it may have to ask, and
    /// for a user without rights it starts this program again.
    fn provide(project: &Project, installing: Installing) -> Means {
        let end_to_end = has_end_to_end(project);
        let boots = end_to_end || project.test_images().next().is_some();
        let required = |packages: &[Package]| require(packages, installing);
        Means {
            emulator: if boots { required(&[Package::Qemu]) } else { Ok(()) },
            clients: if end_to_end { required(&CLIENTS) } else { Ok(()) },
            network: if boots { namespace::within(|| ()).map_err(Into::into) } else { Ok(()) },
        }
    }
}

fn has_end_to_end(project: &Project) -> bool {
    project.host_packages.iter().any(|package| package == END_TO_END)
}

/// One run of everything.
struct Run {
    project: Project,
    arguments: Arguments,
    means: Means,
    skipping: Skipping,
    seed: u64,
}

impl Run {
    fn filter(&self) -> Option<&str> {
        self.arguments.filter.as_deref()
    }

    /// Packages without images as a whole, in one call; of packages with images, the library, if
    /// it has one that can be tested. Packages with nothing to test are left out, though others
    /// may need them: an image's crate that brings its own panic handler cannot be built beside
    /// crates whose tests give a shared dependency its `std`.
    fn host_tests(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        let packages = self.project.host_packages.iter().filter(|name| *name != END_TO_END);
        let selection: Vec<String> =
            packages.flat_map(|name| ["--package".to_owned(), name.clone()]).collect();
        if !selection.is_empty() {
            tally += self.cargo_test(selection, Vec::new())?;
        }
        for package in &self.project.testable_libraries {
            let selection = vec!["--package".to_owned(), package.clone(), "--lib".to_owned()];
            tally += self.cargo_test(selection, Vec::new())?;
        }
        Ok(tally)
    }

    fn cargo_test(
        &self,
        selection: Vec<String>,
        mut environment: Vec<(String, String)>,
    ) -> Result<Tally> {
        let names: Vec<&str> =
            selection.iter().filter(|word| !word.starts_with("--")).map(String::as_str).collect();
        console::step("Testing", format!("on the host: {}", names.join(", ")));
        environment.push(("PROPTEST_RNG_SEED".to_owned(), self.seed.to_string()));
        environment.push(("REFLEX_SEED".to_owned(), self.seed.to_string()));
        if self.skipping == Skipping::Allowed {
            environment.push((ALLOW_SKIP.to_owned(), "1".to_owned()));
        }
        CargoTest {
            root: &self.project.root,
            selection,
            filter: self.filter(),
            environment,
            skipping: self.skipping,
        }
        .run()
    }

    fn image_tests(&self) -> Tally {
        let images: Vec<&Image> = self.project.test_images().collect();
        if images.is_empty() {
            return Tally::default();
        }
        if let Err(error) = &self.means.emulator {
            return self.cannot_run("in-image tests", error);
        }
        if let Err(error) = &self.means.network {
            match self.skipping {
                Skipping::Fails => return self.cannot_run("in-image tests", error),
                Skipping::Allowed => {
                    console::note("Network", format!("this computer's, for guests too: {error:#}"));
                }
            }
        }
        let mut tally = Tally::default();
        let mut boots = Vec::new();
        for image in images {
            match build(image) {
                Ok(file) => boots.extend(self.boots_of(image, &file)),
                Err(error) => {
                    console::error(format!("{error:#}"));
                    tally += Tally::FAILURE;
                }
            }
        }
        console::step("Testing", "in images");
        tally += match self.means.network {
            Ok(()) => namespace::within(|| boot_all(boots)).unwrap_or_else(|error| {
                console::error(error);
                Tally::FAILURE
            }),
            Err(_) => boot_all(boots),
        };
        tally
    }

    fn boots_of(&self, image: &Image, file: &std::path::Path) -> Vec<TestImage> {
        // A filter that names the image takes all its tests.
        let filter = self.filter().filter(|filter| !image.name.contains(filter));
        let boot = |model| TestImage {
            model,
            memory_mib: image.settings.memory,
            filter: filter.map(str::to_owned),
            append: format!("test.seed={}", self.seed),
            ..TestImage::new(&format!("{} {}", image.name, model_name(model)), file)
        };
        image.settings.machines().into_iter().map(boot).collect()
    }

    fn end_to_end_tests(&self) -> Result<Tally> {
        if let Err(error) = &self.means.clients {
            return Ok(self.cannot_run("end-to-end tests", error));
        }
        let mut environment = Vec::new();
        for image in &self.project.images {
            let file = build(image).context("end-to-end tests need every image");
            match file {
                Ok(file) => {
                    environment.push((variable(&image.name), file.display().to_string()));
                }
                Err(error) => {
                    console::error(format!("{error:#}"));
                    return Ok(Tally::FAILURE);
                }
            }
        }
        self.cargo_test(vec!["--package".to_owned(), END_TO_END.to_owned()], environment)
    }

    fn cannot_run(&self, what: &str, error: &anyhow::Error) -> Tally {
        match self.skipping {
            Skipping::Fails => {
                console::error(format!("the {what} cannot run: {error:#}"));
                Tally::FAILURE
            }
            Skipping::Allowed => {
                console::note("Skipped", format!("the {what}: {error:#}"));
                Tally { skipped: 1, ..Tally::default() }
            }
        }
    }

    /// Prints the closing lines.
    fn report(&self, parts: &[(&str, Tally)]) -> ExitCode {
        let mut sum = Tally::default();
        println!();
        for (name, tally) in parts {
            println!("{name}: {tally}");
            sum += *tally;
        }
        println!("{sum}");
        match (sum.total(), self.filter()) {
            (0, Some(filter)) => {
                console::error(format!("no test has `{filter}` in its name"));
                ExitCode::FAILURE
            }
            (0, None) => {
                console::error("there is no test");
                ExitCode::FAILURE
            }
            _ if sum.failed > 0 => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        }
    }
}

/// Runs the tests of images, and prints what comes of each.
fn boot_all(boots: Vec<TestImage>) -> Tally {
    let mut tally = Tally::default();
    let (trials, errors) = guest::trials(boots);
    for error in errors {
        console::error(format!("{error:#}"));
        tally += Tally::FAILURE;
    }
    let one_at_a_time = libtest_mimic::Arguments { test_threads: Some(1), ..Default::default() };
    let conclusion = libtest_mimic::run(&one_at_a_time, trials);
    tally += Tally {
        passed: conclusion.num_passed as usize,
        failed: conclusion.num_failed as usize,
        skipped: conclusion.num_ignored as usize,
    };
    tally
}

fn model_name(model: Model) -> &'static str {
    match model {
        Model::Q35 => "q35",
        Model::Microvm => "microvm",
    }
}

/// A seed nobody has chosen.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_nanos() as u64) % 1_000_000_000
}
