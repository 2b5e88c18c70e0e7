//! A simulated disk and kernel, and an application that notes what it is told.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use reflex_block::{Completion, Device, Disk, Failure, Options, Request, SECTOR};
use reflex_event::{Context, EventSystem};
use reflex_memory::Lent;
use reflex_testkit::{Clock, Medium, SimKernel};

/// Sectors of the medium.
pub(crate) const SECTORS: u64 = 256;

/// What a handler was told: the id, how it went, the first byte that was read, and whether there was memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) id: u64,
    pub(crate) result: Result<(), Failure>,
    pub(crate) first: Option<u8>,
    pub(crate) memory: bool,
}

/// The application's state.
#[derive(Default)]
pub(crate) struct App {
    pub(crate) told: Vec<Told>,
    /// It panics when it is told of that one.
    pub(crate) fatal: Option<u64>,
}

impl App {
    pub(crate) fn done(&mut self, done: &mut Completion<'_>) {
        assert_ne!(self.fatal, Some(done.id), "as it was told to");
        let first = done.bytes().first().copied();
        let memory = done.take_bytes().is_some();
        self.told.push(Told { id: done.id, result: done.result, first, memory });
    }
}

pub(crate) struct Bench {
    pub(crate) kernel: SimKernel,
    pub(crate) clock: Clock,
    pub(crate) medium: Medium,
    pub(crate) device: Device<SimKernel>,
    pub(crate) app: Context<App>,
}

/// A device that holds so many requests.
pub(crate) fn bench(in_flight: u16) -> Bench {
    bench_of(Medium::new(SECTORS, in_flight))
}

pub(crate) fn bench_of(medium: Medium) -> Bench {
    let clock = Clock::default();
    let kernel = SimKernel::new(clock.clone(), 1);
    let device = Device::new(kernel.clone(), Box::new(medium.disk())).expect("memory");
    let context = kernel.context((), 1 << 16);
    let ended = Device::ends(&kernel, context, [device.clone()]).expect("a place");
    let served = device.start(context, ended).expect("a place");
    let told = kernel.clone();
    medium.on_interrupt(move || told.activate(served, 1).expect("it is registered"));
    kernel.activate(served, 1).expect("it is registered");
    kernel.run_until_idle();
    let app = kernel.context(App::default(), 1 << 20);
    Bench { kernel, clock, medium, device, app }
}

impl Bench {
    pub(crate) fn open(&self, options: Options) -> Disk<SimKernel> {
        self.try_open(options).expect("it is opened")
    }

    pub(crate) fn try_open(
        &self,
        options: Options,
    ) -> Result<Disk<SimKernel>, reflex_block::Error> {
        self.device.open(self.app, options, App::done)
    }

    /// Sectors of memory, all the same.
    pub(crate) fn memory(&self, fill: u8, sectors: usize) -> Lent<[u8]> {
        let pool = self.kernel.pool(self.app).expect("the context");
        let mut bytes = pool.bytes(sectors * SECTOR).expect("memory");
        bytes.fill(fill);
        bytes
    }

    pub(crate) fn write(&self, id: u64, sector: u64, fill: u8) -> Request {
        Request::write(sector, self.memory(fill, 1)).id(id)
    }

    pub(crate) fn read(&self, id: u64, sector: u64) -> Request {
        Request::read(sector, self.memory(0xee, 1)).id(id)
    }

    pub(crate) fn run(&self) {
        self.kernel.run_until_idle();
    }

    /// Has the device do all that it has and gets.
    pub(crate) fn settle(&self) {
        self.run();
        while self.medium.pending() > 0 {
            self.medium.perform(0);
            self.run();
        }
    }

    /// Takes what the application was told.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.kernel.state(self.app, |app| std::mem::take(&mut app.told))
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.told().iter().map(|told| told.id).collect()
    }

    /// Blocks of the application's memory that are taken, its handlers too.
    pub(crate) fn taken(&self) -> usize {
        self.kernel.pool(self.app).expect("the context").stats().blocks
    }
}
