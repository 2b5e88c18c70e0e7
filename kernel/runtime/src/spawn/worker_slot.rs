//! Where a cloner's child runs: its state as each life begins with it, its data, and its handler.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{create, registry};
use crate::cpu::bound::StateCell;
use crate::cpu::home::Reuse;
use crate::cpu::local::Local;
use crate::cpu::loose::Loose;
use crate::cpu::options::ContextOptions;
use crate::cpu::workers::{Worker, WorkerPool, WorkerRef};
use crate::dispatch::section::section;
use crate::event::table;
use core::ptr::NonNull;
use reflex_event::{Activation, Begin, Cause, Error, Priority, Registration};
use reflex_memory::Pool;

/// What each life of a child is made with. It is only ever shared: with lives that do not go on, too.
pub(super) struct Makings<S, P, H> {
    pub(super) template: S,
    pub(super) pull: P,
    pub(super) handler: H,
}

/// Where a child sits: what its start handler is bound to.
struct WorkerSlot<S: 'static, D: 'static, P: 'static, H: 'static> {
    worker_ref: WorkerRef,
    makings: &'static Makings<S, P, H>,
    state: &'static StateCell<S>,
    /// Where the state is, or is to be; none when it is to be made in the pool.
    memory: Option<NonNull<S>>,
    pool: &'static Pool,
    /// The child was given up: its state is not as new, and is lost if it was in the middle of a run.
    renewed: bool,
    data: &'static Local<Option<D>>,
    /// It makes registrations when it begins that are its parent's.
    inherits: bool,
    /// The cell that holds this slot itself.
    own: NonNull<StateCell<Self>>,
}

impl<S, D, P, H> WorkerSlot<S, D, P, H>
where
    S: Clone + 'static,
    D: 'static,
    P: Fn(Activation) -> Option<D> + 'static,
    H: Fn(&mut S, D) + 'static,
{
    /// What a child's start event is bound to.
    fn run(&mut self, _: Activation) {
        let data = match self.worker_ref.begin() {
            Begin::Nothing => return,
            Begin::Again => None,
            Begin::Life(Cause::Occurrence(activation)) => {
                self.prepare();
                (self.makings.pull)(activation)
            }
            Begin::Life(Cause::Data) => {
                let data = section(|cs| self.data.with(cs, Option::take));
                self.prepare();
                data
            }
        };
        if let Some(data) = data
            && let Some(state) = self.state.take()
        {
            (self.makings.handler)(state, data);
            self.state.put(state);
        }
        if self.worker_ref.returned() {
            if let Some(state) = self.state.take() {
                state.clone_from(&self.makings.template);
                self.state.put(state);
            }
            self.worker_ref.end();
        }
    }

    /// Before a life begins.
    fn prepare(&mut self) {
        if core::mem::take(&mut self.renewed) {
            match self.state.take() {
                Some(state) => {
                    state.clone_from(&self.makings.template);
                    self.state.put(state);
                }
                None => {
                    let state = self.makings.template.clone();
                    self.state.put(match self.memory {
                        // SAFETY: the memory is the state's for ever; the life that had the former one has been
                        // given up in the middle of a run, and it is forgotten. Nobody else points to it: else
                        // the memory would not be used again.
                        Some(mut memory) => unsafe {
                            memory.write(state);
                            memory.as_mut()
                        },
                        None => {
                            let state = self.pool.alloc(state);
                            let state = state.unwrap_or_else(|_| panic!("no room for the state"));
                            let state = state.leak();
                            self.memory = Some(NonNull::from(&mut *state));
                            state
                        }
                    });
                }
            }
        }
        if self.inherits {
            self.worker_ref.inherit();
        }
    }

    /// See [`Restore`](crate::cpu::workers::Restore).
    ///
    /// # Safety
    /// `slot` is a `Self` that lives for ever, and no run of it goes on.
    unsafe fn restore(
        slot: NonNull<()>,
        pool: &'static Pool,
        reuse: Reuse,
    ) -> Result<Loose, Error> {
        // SAFETY: the caller's duty: nobody else refers to it. What an application's code has had
        // references to, in a run that does not go on, lies elsewhere.
        let slot = unsafe { slot.cast::<Self>().as_mut() };
        (slot.renewed, slot.pool) = (true, pool);
        if !reuse.is_at_once() {
            slot.memory = None;
        }
        // SAFETY: the cell lives for ever, like the slot.
        let cell: &'static StateCell<Self> = unsafe { slot.own.as_ref() };
        cell.put(slot);
        Loose::beside(cell, Self::run, pool)
    }
}

/// Makes one child, idle, and returns where its data is built.
pub(super) fn make_worker<S, D, P, H>(
    options: ContextOptions,
    priority: Priority,
    workers: &'static Local<WorkerPool>,
    number: u16,
    inherits: bool,
    makings: Makings<S, P, H>,
) -> Result<&'static Local<Option<D>>, Error>
where
    S: Clone + Send + 'static,
    D: Send + 'static,
    P: Fn(Activation) -> Option<D> + Send + 'static,
    H: Fn(&mut S, D) + Send + 'static,
{
    let worker_ref = WorkerRef::of(workers, number);
    let context = create::add(options, makings.template.clone())?;
    let (pool, cell) = section(|cs| registry::state_and_pool(cs, context.id()))?;
    let cell = cell.downcast::<S>().ok_or(Error::WrongState)?;
    // SAFETY: a child's cell lives for ever.
    let state: &'static StateCell<S> = unsafe { cell.as_ref() };
    let memory = state.take().ok_or(Error::Busy)?;
    let memory = NonNull::from(memory);
    // SAFETY: just taken out; nobody else knows the context.
    state.put(unsafe { &mut *memory.as_ptr() });
    let data = pool.alloc(Local::new(None)).map_err(|_| Error::OutOfMemory)?.leak();
    let data: &'static Local<Option<D>> = data;
    let own = pool.alloc(StateCell::empty()).map_err(|_| Error::OutOfMemory)?.leak();
    let cell: &'static StateCell<WorkerSlot<S, D, P, H>> = own;
    let own = NonNull::from(cell);
    let makings: &'static _ = pool.alloc(makings).map_err(|_| Error::OutOfMemory)?.leak();
    let renewed = false;
    let slot = WorkerSlot {
        worker_ref,
        makings,
        state,
        memory: Some(memory),
        pool,
        renewed,
        data,
        inherits,
        own,
    };
    let (slot, _) = pool.alloc(slot).map_err(|_| Error::OutOfMemory)?.into_raw();
    // SAFETY: given up in the line above, it stays for ever.
    cell.put(unsafe { &mut *slot.as_ptr() });
    let start = Loose::beside(cell, WorkerSlot::<S, D, P, H>::run, pool)?;
    let registration = Registration { priority, ..Registration::default() };
    let start = table::register(context.id(), registration, start)?;
    let restore = WorkerSlot::<S, D, P, H>::restore;
    let worker = Worker { pool, whole: 0, slot: slot.cast(), restore };
    WorkerRef::join(workers, number, (context.id(), start), options.limits, worker)?;
    Ok(data)
}
