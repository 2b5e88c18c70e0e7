//! The transport, and the test's handle of it.

use crate::DeviceRing;
use reflex_virtio_bus::{Doorbell, Error, Queues};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use virtio_drivers::PhysAddr;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What a doorbell shows that was not rung.
const SILENT: u16 = 0xffff;

/// One queue, before and after the driver has set it up.
struct FakeQueue {
    most: u32,
    addresses: Option<(u16, u64, u64, u64)>,
    doorbell: &'static AtomicU16,
    refuses_vector: bool,
}

/// The device's registers.
struct State {
    offered: u64,
    accepted: u64,
    refuses_features: bool,
    hangs_in_reset: bool,
    status: DeviceStatus,
    resets: usize,
    generation: u32,
    restless: bool,
    config: Vec<u8>,
    queues: Vec<FakeQueue>,
}

/// A device in memory. Clones are the same device: one goes to the driver.
#[derive(Clone)]
pub struct FakeDevice {
    kind: DeviceType,
    state: Arc<Mutex<State>>,
}

impl FakeDevice {
    /// A device of virtio 1.x with `queues` queues of at most `most` slots, which offers
    /// `features` besides.
    pub fn new(kind: DeviceType, features: u64, config: &[u8], queues: usize, most: u32) -> Self {
        let queue = |_| FakeQueue {
            most,
            addresses: None,
            doorbell: Box::leak(Box::new(AtomicU16::new(SILENT))),
            refuses_vector: false,
        };
        let state = State {
            offered: features | reflex_virtio_bus::VERSION_1,
            accepted: 0,
            refuses_features: false,
            hangs_in_reset: false,
            status: DeviceStatus::empty(),
            resets: 0,
            generation: 0,
            restless: false,
            config: config.to_vec(),
            queues: (0..queues).map(queue).collect(),
        };
        Self { kind, state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the registers")
    }

    /// Makes the device one from before virtio 1.0.
    pub fn legacy(self) -> Self {
        self.state().offered &= !reflex_virtio_bus::VERSION_1;
        self
    }

    /// Makes the device refuse whatever features are chosen.
    pub fn refusing_features(self) -> Self {
        self.state().refuses_features = true;
        self
    }

    /// Makes the device refuse the interrupt vector of `queue`.
    pub fn refusing_vector(self, queue: usize) -> Self {
        self.state().queues[queue].refuses_vector = true;
        self
    }

    /// Makes the device never come out of a reset.
    pub fn hanging_in_reset(self) -> Self {
        self.state().hangs_in_reset = true;
        self
    }

    /// Makes the configuration change each time it is looked at.
    pub fn restless(self) -> Self {
        self.state().restless = true;
        self
    }

    /// The features the driver has accepted.
    pub fn accepted(&self) -> u64 {
        self.state().accepted
    }

    /// Whether the driver has set the device going.
    pub fn is_running(&self) -> bool {
        self.state().status.contains(DeviceStatus::DRIVER_OK)
    }

    /// How often the device was reset.
    pub fn resets(&self) -> usize {
        self.state().resets
    }

    /// The device's side of a queue. To be asked for once, after the driver has set it up.
    pub fn ring(&self, queue: usize) -> DeviceRing {
        let (size, descriptors, available, used) =
            self.state().queues[queue].addresses.expect("the driver has set the queue up");
        DeviceRing::new(size, descriptors, available, used)
    }

    /// Whether a queue's doorbell was rung since the last time this was asked.
    pub fn was_rung(&self, queue: u16) -> bool {
        match self.state().queues[usize::from(queue)].doorbell.swap(SILENT, Ordering::Relaxed) {
            SILENT => false,
            rung => {
                assert_eq!(rung, queue, "the doorbell was rung for another queue");
                true
            }
        }
    }
}

impl Queues for FakeDevice {
    fn doorbell(&mut self, queue: u16) -> Result<Doorbell, Error> {
        let state = self.state();
        let fake = &state.queues[usize::from(queue)];
        assert!(fake.addresses.is_some(), "the queue was not set up");
        if fake.refuses_vector {
            return Err(Error::VectorRefused);
        }
        // SAFETY: a word that lives for good and is only this doorbell.
        Ok(unsafe { Doorbell::pci(NonNull::from(fake.doorbell).cast(), queue) })
    }
}

impl Transport for FakeDevice {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        self.state().offered
    }

    fn write_driver_features(&mut self, features: u64) {
        let mut state = self.state();
        assert_eq!(features & !state.offered, 0, "features that were not offered");
        state.accepted = features;
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.state().queues.get(usize::from(queue)).map_or(0, |queue| queue.most)
    }

    fn notify(&mut self, _queue: u16) {
        panic!("drivers have doorbells");
    }

    fn get_status(&self) -> DeviceStatus {
        self.state().status
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut state = self.state();
        if status.is_empty() {
            state.resets += 1;
            state.queues.iter_mut().for_each(|queue| queue.addresses = None);
        }
        let hidden =
            if state.refuses_features { DeviceStatus::FEATURES_OK } else { DeviceStatus::empty() };
        state.status = if status.is_empty() && state.hangs_in_reset {
            DeviceStatus::ACKNOWLEDGE
        } else {
            status - hidden
        };
    }

    fn set_guest_page_size(&mut self, _size: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        available: PhysAddr,
        used: PhysAddr,
    ) {
        let mut state = self.state();
        let negotiated = state.status.contains(DeviceStatus::FEATURES_OK)
            && !state.status.contains(DeviceStatus::DRIVER_OK);
        assert!(negotiated, "queues are set up between negotiation and running");
        let fake = &mut state.queues[usize::from(queue)];
        assert!(size <= fake.most && fake.addresses.is_none());
        let size = u16::try_from(size).expect("a size of 16 bits");
        fake.addresses = Some((size, descriptors, available, used));
    }

    fn queue_unset(&mut self, _queue: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.state().queues[usize::from(queue)].addresses.is_some()
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        let mut state = self.state();
        state.generation += u32::from(state.restless);
        state.generation
    }

    fn read_config_space<T: FromBytes + IntoBytes>(
        &self,
        offset: usize,
    ) -> virtio_drivers::Result<T> {
        let state = self.state();
        let bytes = state.config.get(offset..offset + size_of::<T>());
        let bytes = bytes.ok_or(virtio_drivers::Error::ConfigSpaceTooSmall)?;
        T::read_from_bytes(bytes).map_err(|_| virtio_drivers::Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _offset: usize,
        _value: T,
    ) -> virtio_drivers::Result<()> {
        Err(virtio_drivers::Error::Unsupported)
    }
}
