//! A simulated disk: it does requests in the order that a test says, and forgets what was not flushed when its power
//! is cut.

use crate::Random;
use reflex_hil::{
    Block, BlockCounters, BlockDone, BlockError, BlockInfo, BlockOperation, BlockRequest, SECTOR,
    Serial, length,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Sector = [u8; SECTOR];

/// What a write has put into a sector, and when it was complete.
#[derive(Clone)]
struct Written {
    order: u64,
    data: Sector,
}

/// A request that the disk has, and the writes that were complete when it was submitted.
struct Pending {
    request: BlockRequest,
    complete: u64,
}

struct State {
    info: BlockInfo,
    /// What survives the power.
    durable: Vec<u8>,
    /// What does so perhaps: by sector, in order.
    unflushed: BTreeMap<u64, Vec<Written>>,
    /// Writes that are complete.
    complete: u64,
    submitted: Vec<Pending>,
    pending: Vec<Pending>,
    done: VecDeque<BlockDone>,
    interrupt: Option<Arc<dyn Fn() + Send + Sync>>,
    awaited: bool,
    /// Without an interrupt, it does what it has when its owner looks.
    prompt: bool,
    broken: bool,
    flushes: u64,
    counters: BlockCounters,
}

/// The disk, as a test has it. Clones are the same.
#[derive(Clone)]
pub struct Medium(Arc<Mutex<State>>);

/// The disk, as its owner has it.
pub struct SimDisk {
    medium: Medium,
    info: BlockInfo,
}

impl std::fmt::Debug for Medium {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a disk of {} sectors", self.lock().info.sectors)
    }
}

impl Medium {
    /// A disk of zeroes, with so many sectors and as many requests in flight.
    pub fn new(sectors: u64, in_flight: u16) -> Self {
        Self::of(vec![0; sectors as usize * SECTOR], in_flight)
    }

    /// A disk with those bytes, whole sectors.
    pub fn of(bytes: Vec<u8>, in_flight: u16) -> Self {
        assert!(bytes.len().is_multiple_of(SECTOR), "whole sectors");
        let info = BlockInfo {
            sectors: (bytes.len() / SECTOR) as u64,
            block: SECTOR as u32,
            physical_block: 4096,
            optimal: 0,
            read_only: false,
            volatile_cache: true,
            most_discarded: 1 << 16,
            pieces: 2,
            most_bytes: 1 << 20,
            in_flight,
            serial: Serial::new(*b"simulated\0\0\0\0\0\0\0\0\0\0\0"),
        };
        Self(Arc::new(Mutex::new(State {
            info,
            durable: bytes,
            unflushed: BTreeMap::new(),
            complete: 0,
            submitted: Vec::new(),
            pending: Vec::new(),
            done: VecDeque::new(),
            interrupt: None,
            awaited: false,
            prompt: false,
            broken: false,
            flushes: 0,
            counters: BlockCounters::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It says that it is called so: at most 20 ASCII characters.
    pub fn named(self, name: &str) -> Self {
        let mut bytes = [0; 20];
        bytes.iter_mut().zip(name.bytes()).for_each(|(byte, name)| *byte = name);
        self.describe(|info| info.serial = Serial::new(bytes));
        self
    }

    /// Changes what it says of itself. Before [`disk`](Self::disk).
    pub fn describe(&self, change: impl FnOnce(&mut BlockInfo)) {
        change(&mut self.lock().info);
    }

    /// The disk, to be given to its owner. What an earlier owner has under way is given up.
    pub fn disk(&self) -> SimDisk {
        let mut state = self.lock();
        (state.interrupt, state.awaited) = (None, false);
        let given_up = (
            core::mem::take(&mut state.submitted),
            core::mem::take(&mut state.pending),
            core::mem::take(&mut state.done),
        );
        let info = state.info;
        drop(state);
        drop(given_up);
        SimDisk { medium: self.clone(), info }
    }

    /// As [`disk`](Self::disk), one that does what it has when its owner looks, as long as its interrupt is not
    /// connected.
    pub fn prompt_disk(&self) -> SimDisk {
        self.lock().prompt = true;
        self.disk()
    }

    /// Has `interrupt` called when a request is done and the owner waits for that.
    pub fn on_interrupt(&self, interrupt: impl Fn() + Send + Sync + 'static) {
        self.lock().interrupt = Some(Arc::new(interrupt));
    }

    /// Requests that it has been told of and has not done.
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// What the `at`th of these asks for, and where.
    pub fn asked(&self, at: usize) -> (BlockOperation, u64) {
        let state = self.lock();
        let request = &state.pending[at].request;
        (request.operation, request.sector)
    }

    /// Does the `at`th of the requests that it has.
    pub fn perform(&self, at: usize) {
        self.answer(at, Ok(()));
    }

    /// Does all that it has, in order.
    pub fn perform_all(&self) {
        while self.pending() > 0 {
            self.perform(0);
        }
    }

    /// Fails the `at`th of the requests that it has.
    pub fn fail(&self, at: usize, error: BlockError) {
        self.answer(at, Err(error));
    }

    /// Breaks: all that it has fails, and whatever is asked from now on.
    pub fn break_down(&self) {
        self.lock().broken = true;
        while self.pending() > 0 {
            self.fail(0, BlockError::DeviceFailed);
        }
    }

    /// Flushes that were done.
    pub fn flushes(&self) -> u64 {
        self.lock().flushes
    }

    /// The bytes of sectors as a read would have them.
    pub fn bytes(&self, sector: u64, sectors: u64) -> Vec<u8> {
        let state = self.lock();
        (sector..sector + sectors).flat_map(|sector| state.sector(sector)).collect()
    }

    /// The disk after its power was cut: what was flushed is there; of what was written since, and is being written,
    /// each sector has what it had or any of what came later. The owner of this one is answered nothing more.
    pub fn cut(&self, random: &mut Random) -> Self {
        let mut state = self.lock();
        let mut last = state.unflushed.clone();
        for pending in state.pending.iter().chain(&state.submitted) {
            if pending.request.operation == BlockOperation::Write {
                for (sector, data) in sectors(&pending.request) {
                    last.entry(sector).or_default().push(Written { order: u64::MAX, data });
                }
            }
        }
        let mut bytes = state.durable.clone();
        for (sector, written) in last {
            let choice = random.below(written.len() as u64 + 1) as usize;
            if let Some(written) = written.get(choice) {
                let place = sector as usize * SECTOR;
                bytes[place..place + SECTOR].copy_from_slice(&written.data);
            }
        }
        (state.interrupt, state.broken) = (None, true);
        (state.pending, state.submitted) = (Vec::new(), Vec::new());
        Self::of(bytes, state.info.in_flight)
    }

    fn answer(&self, at: usize, result: Result<(), BlockError>) {
        let mut state = self.lock();
        let Pending { mut request, complete } = state.pending.remove(at);
        if result.is_ok() {
            state.perform(&mut request, complete);
        }
        state.counters.failed += u64::from(result.is_err());
        state.done.push_back(BlockDone { tag: request.tag, result, memory: request.memory });
        let interrupt = core::mem::take(&mut state.awaited).then(|| state.interrupt.clone());
        drop(state);
        interrupt.flatten().into_iter().for_each(|interrupt| interrupt());
    }
}

/// What a write puts where.
fn sectors(request: &BlockRequest) -> Vec<(u64, Sector)> {
    let pieces = request.memory.iter().flatten();
    let bytes: Vec<u8> = pieces.flat_map(|it| &it.bytes[..it.length as usize]).copied().collect();
    let (whole, _) = bytes.as_chunks::<SECTOR>();
    (request.sector..).zip(whole.iter().copied()).collect()
}

impl State {
    fn sector(&self, sector: u64) -> Sector {
        let place = sector as usize * SECTOR;
        match self.unflushed.get(&sector).and_then(|written| written.last()) {
            Some(written) => written.data,
            None => self.durable[place..place + SECTOR].try_into().expect("a sector"),
        }
    }

    fn perform(&mut self, request: &mut BlockRequest, complete: u64) {
        match request.operation {
            BlockOperation::Read => {
                let count = length(&request.memory) / SECTOR as u64;
                let read = request.sector..request.sector + count;
                let mut bytes = read.flat_map(|sector| self.sector(sector));
                for piece in request.memory.iter_mut().flatten() {
                    piece.bytes[..piece.length as usize].fill_with(|| bytes.next().unwrap_or(0));
                }
            }
            BlockOperation::Write => self.write(sectors(request)),
            BlockOperation::Discard => {
                let discarded = request.sector..request.sector + u64::from(request.sectors);
                self.write(discarded.map(|sector| (sector, [0; SECTOR])).collect());
            }
            BlockOperation::Flush => self.flush(complete),
        }
    }

    fn write(&mut self, sectors: Vec<(u64, Sector)>) {
        self.complete += 1;
        for (sector, data) in sectors {
            let written = Written { order: self.complete, data };
            self.unflushed.entry(sector).or_default().push(written);
        }
    }

    /// Makes durable what was complete when the flush was submitted, and no more.
    fn flush(&mut self, complete: u64) {
        self.flushes += 1;
        for (sector, written) in &mut self.unflushed {
            let count = written.partition_point(|written| written.order <= complete);
            if let Some(last) = written.drain(..count).next_back() {
                let place = *sector as usize * SECTOR;
                self.durable[place..place + SECTOR].copy_from_slice(&last.data);
            }
        }
        self.unflushed.retain(|_, written| !written.is_empty());
    }
}

impl Block for SimDisk {
    fn info(&self) -> &BlockInfo {
        &self.info
    }

    fn submit(&mut self, request: BlockRequest) -> Result<(), (BlockError, BlockRequest)> {
        let mut state = self.medium.lock();
        let full = state.submitted.len() + state.pending.len() + state.done.len()
            >= usize::from(self.info.in_flight);
        let refusal = match self.info.check(&request) {
            _ if state.broken => Some(BlockError::DeviceFailed),
            Err(error) => Some(error),
            Ok(()) if full => Some(BlockError::Full),
            Ok(()) => None,
        };
        if let Some(error) = refusal {
            return Err((error, request));
        }
        state.counters.requests += 1;
        let complete = state.complete;
        state.submitted.push(Pending { request, complete });
        Ok(())
    }

    fn notify(&mut self) {
        let state = &mut *self.medium.lock();
        state.counters.notifications += u64::from(!state.submitted.is_empty());
        state.pending.append(&mut state.submitted);
    }

    fn next(&mut self) -> Option<BlockDone> {
        let mut state = self.medium.lock();
        if state.prompt && state.interrupt.is_none() && state.done.is_empty() {
            drop(state);
            self.medium.perform_all();
            state = self.medium.lock();
        }
        state.done.pop_front()
    }

    fn enable(&mut self) -> bool {
        let mut state = self.medium.lock();
        state.awaited = state.done.is_empty();
        !state.awaited
    }

    fn counters(&self) -> BlockCounters {
        self.medium.lock().counters
    }
}
