//! `cargo reflex test`: everything there is to test, in one report.
//!
//! Three parts, each a file: programs of the host ([`host`]), tests inside images ([`guest`]),
//! and end-to-end tests, which are host programs that boot images themselves. What cannot run
//! has failed, unless `--allow-skip` is given; then it is named and counted apart. When a newest QEMU is
//! given, the [`essentials`] of the last two parts follow with it. All of it can be repeated, and run beside
//! a [`load`] on the computer. On request, parts of the project are tried among programs of the world,
//! which are downloaded.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use clap::ValueEnum;

use crate::build::{build, variable};
use crate::machine::{self, Emulator, Model};
use crate::packages::{self, Installing, Package, require};
use crate::project::{Image, Project};
use crate::{console, namespace};

mod essentials;
pub mod guest;
mod host;
mod load;
mod tally;

use guest::TestImage;
use host::{CargoTest, Selected};
use load::Load;
use tally::{Skipping, Tally};

/// The package of this repository with tests that boot images themselves.
const END_TO_END: &str = "reflex-e2e";
/// The package of tests that download programs of the world.
const WORLD: &str = "reflex-world";
/// The images that are booted there.
const WORLD_IMAGES: [&str; 3] = ["echo", "httpd", "guest-transfer"];
/// What end-to-end tests drive guests with.
const CLIENTS: [Package; 5] =
    [Package::Qemu, Package::Curl, Package::ApacheBench, Package::Wrk, Package::Ping];
/// Tells tests of the host that they may skip what this computer does not allow.
pub const ALLOW_SKIP: &str = "REFLEX_ALLOW_SKIP";
/// Tells tests of the host with how many processors guests are booted that say nothing of it.
pub const CPUS: &str = "REFLEX_CPUS";
/// The environment variable that names the newest QEMU, as `--newest-qemu` does.
const NEWEST: &str = "REFLEX_QEMU_NEWEST";

/// What `test` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo reflex test\n  \
        cargo reflex test preempt          tests with `preempt` in their names\n  \
        cargo reflex test --seed 42        repeats a run's random choices\n  \
        cargo reflex test preempt --only image --repeat 100\n  \
        cargo reflex test --only end-to-end --cpus 4\n  \
        cargo reflex test --repeat 3 --load 4    is everything green on a busy computer, too?")]
pub struct Arguments {
    /// Only tests with this in their names
    filter: Option<String>,
    /// Only this part
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Let pass what this machine cannot run, naming it
    #[arg(long)]
    allow_skip: bool,
    /// Seed of all random choices [default: a new one, printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run the tests N times, each time with the next seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Keep N threads busy meanwhile, to see which tests depend on the computer's speed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1024))]
    load: u32,
    /// Boot guests with N processors, but for tests that say how many
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    cpus: u32,
    /// Also run the essentials with this QEMU, the newest at hand; named as for --qemu
    /// [env: REFLEX_QEMU_NEWEST]
    #[arg(long, value_name = "PATH")]
    newest_qemu: Option<PathBuf>,
    /// Also try parts of the project among programs of the world, which are downloaded (from Debian's
    /// archive, into the cache) and not installed
    #[arg(long)]
    world: bool,
}

/// Runs the subcommand.
pub fn run(arguments: Arguments, installing: Installing) -> Result<ExitCode> {
    let project = Project::here()?;
    // Programs of the world are clients enough for the guests among them.
    let only_world = arguments.only == Some(Part::World);
    let means = match only_world {
        false => Means::provide(&project, installing),
        true => Means::without_clients(installing),
    };
    let first_seed = arguments.seed.unwrap_or_else(new_seed);
    let skipping = if arguments.allow_skip { Skipping::Allowed } else { Skipping::Fails };
    match &means.emulator {
        Ok(emulator) => console::note("Emulator", emulator),
        Err(error) => console::warning(format!("no test can boot a guest: {error:#}")),
    }
    if project.is_fresh() && arguments.filter.is_none() {
        console::note("Building", "all that is tested, once: some minutes on two processors");
    }
    let run = Run { project, arguments, means, skipping, built: RefCell::default() };
    let rounds = run.arguments.repeat;
    let _load = Load::start(run.arguments.load);
    let mut sums: Vec<(Part, Tally)> = run.parts().map(|part| (part, Tally::default())).collect();
    let mut failed = Vec::new();
    for (round, seed) in (1..=rounds).zip(first_seed..) {
        console::note("Seed", format!("{seed} (repeat with --seed {seed})"));
        let mut sum_of_round = Tally::default();
        for (part, sum) in &mut sums {
            // Where the first round has found no test, no other will.
            if round == 1 || sum.total() > 0 {
                let tally = run.part(*part, seed)?;
                *sum += tally;
                sum_of_round += tally;
            }
        }
        if sum_of_round.failed > 0 {
            failed.push(seed);
        }
        if rounds > 1 {
            console::note("Round", format!("{round} of {rounds}: {sum_of_round}"));
        }
    }
    Ok(run.report(&sums, &failed))
}

/// What is tested in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Programs of the host
    Host,
    /// Tests inside images
    Image,
    /// Images that the host boots and talks to
    EndToEnd,
    /// The essentials with the newest QEMU
    Newest,
    /// Among programs of the world, which are downloaded
    World,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Host => "host",
            Part::Image => "image",
            Part::EndToEnd => "end-to-end",
            Part::Newest => "newest QEMU",
            Part::World => "world",
        }
    }
}

/// What tests need beside what is built.
struct Means {
    /// The QEMU that guests run in.
    emulator: Result<&'static Emulator>,
    /// The programs that end-to-end tests use.
    clients: Result<()>,
    /// Networks that are not the computer's.
    network: Result<()>,
}

impl Means {
    /// Sees to it that there is what the project's tests need. First of all: it may have to ask, and
    /// for a user without rights it starts this program again.
    fn provide(project: &Project, installing: Installing) -> Means {
        let emulator = packages::emulator(installing);
        let clients = match has_end_to_end_tests(project) {
            true => require(&CLIENTS, installing).map_err(Into::into),
            false => Ok(()),
        };
        Means { emulator, clients, network: namespace::within(|| ()).map_err(Into::into) }
    }

    /// What is needed where end-to-end tests are not: their programs are not looked for, or installed.
    fn without_clients(installing: Installing) -> Means {
        let emulator = packages::emulator(installing);
        let clients = Err(anyhow!("no end-to-end test is to be run"));
        Means { emulator, clients, network: namespace::within(|| ()).map_err(Into::into) }
    }
}

fn has_end_to_end_tests(project: &Project) -> bool {
    project.host_packages.iter().any(|package| package == END_TO_END)
}

fn has_world_tests(project: &Project) -> bool {
    project.host_packages.iter().any(|package| package == WORLD)
}

/// Everything that is tested, in one round or in several.
struct Run {
    project: Project,
    arguments: Arguments,
    means: Means,
    skipping: Skipping,
    /// The images that were built, by name.
    built: RefCell<BTreeMap<String, PathBuf>>,
}

impl Run {
    fn parts(&self) -> impl Iterator<Item = Part> {
        let end_to_end = has_end_to_end_tests(&self.project).then_some(Part::EndToEnd);
        let newest = self.newest().is_some().then_some(Part::Newest);
        let asked = self.arguments.world || self.arguments.only == Some(Part::World);
        let world = (asked && has_world_tests(&self.project)).then_some(Part::World);
        let parts = [Part::Host, Part::Image].into_iter().chain(end_to_end);
        let parts = parts.chain(newest).chain(world);
        parts.filter(|part| self.arguments.only.is_none_or(|only| only == *part))
    }

    fn part(&self, part: Part, seed: u64) -> Result<Tally> {
        match part {
            Part::Host => self.host_tests(seed),
            Part::Image => Ok(self.image_tests(None, seed)),
            Part::EndToEnd => self.end_to_end_tests(None, seed),
            Part::Newest => self.essentials(seed),
            Part::World => self.world_tests(seed),
        }
    }

    /// The image's bootable file, built at the first time.
    fn build(&self, image: &Image) -> Result<PathBuf> {
        if let Some(file) = self.built.borrow().get(&image.name) {
            return Ok(file.clone());
        }
        let file = build(image)?;
        self.built.borrow_mut().insert(image.name.clone(), file.clone());
        Ok(file)
    }

    /// The newest QEMU, if one was given.
    fn newest(&self) -> Option<Result<Emulator, machine::EmulatorError>> {
        let variable = || std::env::var_os(NEWEST).filter(|path| !path.is_empty());
        let path = self.arguments.newest_qemu.clone().or_else(|| variable().map(PathBuf::from))?;
        Some(Emulator::at(&path))
    }

    /// The essentials, with the newest QEMU.
    fn essentials(&self, seed: u64) -> Result<Tally> {
        let newest = match self.newest() {
            Some(Ok(newest)) => newest,
            Some(Err(error)) => return Ok(self.cannot_run(essentials::NAME, &error.into())),
            None => return Ok(Tally::default()),
        };
        console::step("Repeating", format!("{} ({newest})", essentials::NAME));
        let mut tally = self.image_tests(Some(&newest), seed);
        if has_end_to_end_tests(&self.project) {
            tally += self.end_to_end_tests(Some(&newest), seed)?;
        }
        Ok(tally)
    }

    fn filter(&self) -> Option<&str> {
        self.arguments.filter.as_deref()
    }

    /// Packages without images as a whole, in one call, and in another those that simulate machines: the
    /// facade and what it stands on are others there. Of other packages with images, the library, if
    /// it has one that can be tested. Packages with nothing to test are left out, though others
    /// may need them: an image's crate that brings its own panic handler cannot be built beside crates with
    /// tests that give a shared dependency its `std`.
    fn host_tests(&self, seed: u64) -> Result<Tally> {
        let mut tally = Tally::default();
        let apart = [END_TO_END, WORLD];
        for packages in [&self.project.host_packages, &self.project.simulated] {
            let packages = packages.iter().filter(|name| !apart.contains(&name.as_str()));
            let selection: Vec<String> =
                packages.flat_map(|name| ["--package".to_owned(), name.clone()]).collect();
            if !selection.is_empty() {
                tally += self.cargo_test(selection, self.selected(), Vec::new(), seed)?;
            }
        }
        for package in &self.project.testable_libraries {
            let selection = vec!["--package".to_owned(), package.clone(), "--lib".to_owned()];
            tally += self.cargo_test(selection, self.selected(), Vec::new(), seed)?;
        }
        Ok(tally)
    }

    /// The tests that were asked for.
    fn selected(&self) -> Selected {
        self.filter().map_or(Selected::All, |filter| Selected::Containing(filter.to_owned()))
    }

    fn cargo_test(
        &self,
        selection: Vec<String>,
        tests: Selected,
        mut environment: Vec<(String, OsString)>,
        seed: u64,
    ) -> Result<Tally> {
        let names: Vec<&str> =
            selection.iter().filter(|word| !word.starts_with("--")).map(String::as_str).collect();
        console::step("Testing", format!("on the host: {}", names.join(", ")));
        environment.push(("PROPTEST_RNG_SEED".to_owned(), seed.to_string().into()));
        environment.push(("REFLEX_SEED".to_owned(), seed.to_string().into()));
        environment.push((CPUS.to_owned(), self.arguments.cpus.to_string().into()));
        if self.skipping == Skipping::Allowed {
            environment.push((ALLOW_SKIP.to_owned(), "1".into()));
        }
        CargoTest {
            root: &self.project.root,
            profile: self.project.host_profile.as_deref(),
            selection,
            tests,
            environment,
            skipping: self.skipping,
        }
        .run()
    }

    /// Tests inside images; those of the essentials with the newest QEMU, if one is given.
    fn image_tests(&self, newest: Option<&Emulator>, seed: u64) -> Tally {
        let images: Vec<&Image> = self.project.test_images().collect();
        if images.is_empty() {
            return Tally::default();
        }
        if let (None, Err(error)) = (newest, &self.means.emulator) {
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
            match self.build(image) {
                Ok(file) => boots.extend(self.boots_of(image, &file, newest, seed)),
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

    fn boots_of(
        &self,
        image: &Image,
        file: &Path,
        newest: Option<&Emulator>,
        seed: u64,
    ) -> Vec<TestImage> {
        // A filter that names the image takes all its tests.
        let filter = self.filter().filter(|filter| !image.name.contains(filter));
        let boot = |model| TestImage {
            model,
            memory_mib: image.settings.memory,
            cpus: self.arguments.cpus,
            disk_mib: image.settings.test_disk,
            filter: filter.map(str::to_owned),
            append: format!("test.seed={seed}"),
            emulator: newest.cloned(),
            group: newest.map(|_| essentials::GROUP.to_owned()),
            ..TestImage::new(&format!("{} {}", image.name, model_name(model)), file)
        };
        image.settings.machines().into_iter().map(boot).collect()
    }

    /// End-to-end tests; those of the essentials with the newest QEMU, if one is given.
    fn end_to_end_tests(&self, newest: Option<&Emulator>, seed: u64) -> Result<Tally> {
        if let (None, Err(error)) = (newest, &self.means.emulator) {
            return Ok(self.cannot_run("end-to-end tests", error));
        }
        if let Err(error) = &self.means.clients {
            return Ok(self.cannot_run("end-to-end tests", error));
        }
        let every = self.project.images.iter();
        let environment = match self.guests_environment(newest, every) {
            Ok(environment) => environment,
            Err(error) => {
                console::error(format!("end-to-end tests need every image: {error:#}"));
                return Ok(Tally::FAILURE);
            }
        };
        let selection = vec!["--package".to_owned(), END_TO_END.to_owned()];
        match newest {
            None => self.cargo_test(selection, self.selected(), environment, seed),
            Some(_) => self.essential_end_to_end_tests(selection, environment, seed),
        }
    }

    /// What tests are told that boot guests: which QEMU, and where these images lie.
    fn guests_environment<'a>(
        &self,
        newest: Option<&Emulator>,
        images: impl Iterator<Item = &'a Image>,
    ) -> Result<Vec<(String, OsString)>> {
        let named = newest.map(|newest| newest.named().to_owned()).or_else(machine::named);
        let mut environment: Vec<(String, OsString)> = Vec::new();
        environment.extend(named.map(|path| (machine::QEMU_VARIABLE.to_owned(), path.into())));
        for image in images {
            environment.push((variable(&image.name), self.build(image)?.into()));
        }
        Ok(environment)
    }

    /// Those of the essentials; one that is not there has failed.
    fn essential_end_to_end_tests(
        &self,
        selection: Vec<String>,
        environment: Vec<(String, OsString)>,
        seed: u64,
    ) -> Result<Tally> {
        let wanted = |name: &&str| self.filter().is_none_or(|filter| name.contains(filter));
        let names: Vec<String> =
            essentials::END_TO_END.into_iter().filter(wanted).map(str::to_owned).collect();
        let count = names.len();
        if count == 0 {
            return Ok(Tally::default());
        }
        let mut tally = self.cargo_test(selection, Selected::Exactly(names), environment, seed)?;
        let absent = count.saturating_sub(tally.total());
        if absent > 0 {
            console::error(format!("{absent} of the essential end-to-end tests did not run"));
            tally += Tally { failed: absent, ..Tally::default() };
        }
        Ok(tally)
    }

    /// Tests among programs of the world, some with a guest.
    fn world_tests(&self, seed: u64) -> Result<Tally> {
        let emulator = self.means.emulator.as_ref().map(|_| ());
        if let Err(error) = self.means.network.as_ref().and(emulator) {
            return Ok(self.cannot_run("tests among programs of the world", error));
        }
        let images = self.project.images.iter();
        let images = images.filter(|image| WORLD_IMAGES.contains(&image.name.as_str()));
        let environment = match self.guests_environment(None, images) {
            Ok(environment) => environment,
            Err(error) => {
                console::error(format!("{error:#}"));
                return Ok(Tally::FAILURE);
            }
        };
        let selection = vec!["--package".to_owned(), WORLD.to_owned()];
        self.cargo_test(selection, self.selected(), environment, seed)
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

    /// Prints the closing lines; `failed` are the seeds of the rounds in which a test has failed.
    fn report(&self, parts: &[(Part, Tally)], failed: &[u64]) -> ExitCode {
        let mut sum = Tally::default();
        println!();
        for (part, tally) in parts {
            println!("{}: {tally}", part.name());
            sum += *tally;
        }
        println!("{sum}");
        if self.arguments.repeat > 1 {
            let seeds: Vec<String> = failed.iter().map(u64::to_string).collect();
            let seeds = if seeds.is_empty() { "none".to_owned() } else { seeds.join(", ") };
            println!("{} rounds; seeds of those that failed: {seeds}", self.arguments.repeat);
        }
        let everything = self.filter().is_none() && self.arguments.only.is_none();
        if everything && has_end_to_end_tests(&self.project) && self.newest().is_none() {
            console::warning(format!(
                "not run: {}: name one with --newest-qemu PATH or {NEWEST}=PATH",
                essentials::NAME
            ));
        }
        if everything && has_world_tests(&self.project) && !self.arguments.world {
            console::warning("not run: among programs of the world, which are downloaded: --world");
        }
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
        Model::Pc => "pc",
        Model::Microvm => "microvm",
    }
}

/// A seed nobody has chosen.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_nanos() as u64) % 1_000_000_000
}
