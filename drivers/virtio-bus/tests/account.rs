//! A queue against a model: whatever its two sides do, and when, each slot has one owner, and what
//! comes over is what was sent. Then the device lies.

use proptest::prelude::*;
use reflex_hil::Acknowledge;
use reflex_virtio_bus::{Broken, Queue, Quiet, Used, finish, start};
use reflex_virtio_fake::{DeviceRing, FakeDevice, HostHal};
use std::collections::VecDeque;
use virtio_drivers::BufferDirection::{DeviceToDriver, DriverToDevice};
use virtio_drivers::transport::DeviceType;

/// What a slot was described with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Buffer {
    slot: u16,
    address: u64,
    length: u32,
    writable: bool,
}

/// What happens, in any order.
#[derive(Clone, Debug)]
enum Step {
    Offer {
        slot: u16,
        address: u64,
        length: u32,
        writable: bool,
    },
    Publish,
    Notify,
    Take,
    Suppress,
    Acknowledge,
    Enable,
    /// The device takes the next buffer, or writes that it is done with one, or shows what it wrote.
    Fetch,
    Finish {
        which: usize,
        written: u32,
    },
    Show,
    WantNotifications(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<u16>(), any::<u64>(), any::<u32>(), any::<bool>()).prop_map(
            |(slot, address, length, writable)| Step::Offer { slot, address, length, writable }
        ),
        1 => Just(Step::Publish),
        3 => Just(Step::Notify),
        6 => Just(Step::Take),
        1 => Just(Step::Suppress),
        1 => Just(Step::Acknowledge),
        2 => Just(Step::Enable),
        6 => Just(Step::Fetch),
        6 => (any::<usize>(), any::<u32>())
            .prop_map(|(which, written)| Step::Finish { which, written }),
        4 => Just(Step::Show),
        1 => any::<bool>().prop_map(Step::WantNotifications),
    ]
}

/// How the device breaks the contract in the end.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// It is done with more than it was shown.
    Ahead(u16),
    /// It is done with less than it was.
    Back(u16),
    /// It is done with a slot that is not lent.
    NotLent,
    /// It is done with a slot that it was not shown yet.
    NotShown,
    /// It is done with a slot that there is not.
    NoSlot(u32),
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        prop_oneof![Just(1), 1u16..20, 1u16..30_000].prop_map(Lie::Ahead),
        prop_oneof![Just(1), 1u16..20, 1u16..30_000].prop_map(Lie::Back),
        Just(Lie::NotLent),
        Just(Lie::NotShown),
        prop_oneof![Just(0), any::<u32>()].prop_map(Lie::NoSlot),
    ]
}

/// Both sides, and which of them has each slot.
struct Pair {
    device: FakeDevice,
    ring: DeviceRing,
    queue: Queue<HostHal>,
    quiet: Quiet,
    size: u16,
    /// Offered, and not shown to the device.
    offered: Vec<Buffer>,
    shown: VecDeque<Buffer>,
    fetched: Vec<Buffer>,
    /// Written by the device, and not shown to the driver.
    written: Vec<Used>,
    used: VecDeque<Used>,
    /// Something was offered since the last notification.
    news: bool,
    wants_notifications: bool,
    wants_interrupts: bool,
}

impl Pair {
    fn new(size: u16) -> Self {
        let mut device = FakeDevice::new(DeviceType::Network, 0, &[], 1, size.into());
        start(&mut device, 0).expect("it starts");
        let queue = Queue::new(&mut device, 0, size).expect("a queue");
        finish(&mut device);
        Self {
            ring: device.ring(0),
            // SAFETY: queues of this file are leaked, never freed.
            quiet: unsafe { queue.quiet() },
            device,
            queue,
            size,
            offered: Vec::new(),
            shown: VecDeque::new(),
            fetched: Vec::new(),
            written: Vec::new(),
            used: VecDeque::new(),
            news: false,
            wants_notifications: true,
            wants_interrupts: true,
        }
    }

    fn is_lent(&self, slot: u16) -> bool {
        let described = self.offered.iter().chain(&self.shown).chain(&self.fetched);
        let used = self.written.iter().chain(&self.used);
        described.map(|buffer| buffer.slot).chain(used.map(|used| used.slot)).any(|at| at == slot)
    }

    fn offer(&mut self, buffer: Buffer) {
        let direction = if buffer.writable { DeviceToDriver } else { DriverToDevice };
        // SAFETY: the slot exists and is not lent, and nobody looks at the buffer.
        unsafe {
            self.queue.describe(buffer.slot, buffer.address, buffer.length, direction);
            self.queue.offer(buffer.slot);
        }
        self.offered.push(buffer);
        self.news = true;
    }

    fn notify(&mut self) {
        let due = self.news && self.wants_notifications;
        assert_eq!(self.queue.notify(), due);
        assert_eq!(self.device.was_rung(0), due);
        if self.news {
            self.shown.extend(self.offered.drain(..));
        }
        self.news = false;
    }

    fn fetch(&mut self) {
        let buffer = self.ring.take().map(|buffer| Buffer {
            slot: buffer.id,
            address: buffer.address,
            length: buffer.length,
            writable: buffer.writable,
        });
        assert_eq!(buffer, self.shown.pop_front());
        self.fetched.extend(buffer);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Offer { slot, address, length, writable } => {
                let slot = slot % self.size;
                if !self.is_lent(slot) {
                    self.offer(Buffer { slot, address, length, writable });
                }
            }
            Step::Publish => {
                self.queue.publish();
                self.shown.extend(self.offered.drain(..));
            }
            Step::Notify => self.notify(),
            Step::Take => assert_eq!(self.queue.take(), Ok(self.used.pop_front())),
            Step::Suppress => {
                self.queue.suppress();
                self.wants_interrupts = false;
            }
            Step::Acknowledge => {
                assert!(self.quiet.acknowledge(), "the interrupt was for the queue");
                self.wants_interrupts = false;
            }
            Step::Enable => {
                self.wants_interrupts = self.used.is_empty();
                assert_eq!(self.queue.enable(), !self.used.is_empty());
            }
            Step::Fetch => self.fetch(),
            Step::Finish { which, written } => {
                if let Some(which) = which.checked_rem(self.fetched.len()) {
                    let slot = self.fetched.swap_remove(which).slot;
                    self.ring.write_used(slot.into(), written);
                    self.written.push(Used { slot, written });
                }
            }
            Step::Show => {
                assert_eq!(self.ring.show_used(), self.wants_interrupts);
                self.used.extend(self.written.drain(..));
            }
            Step::WantNotifications(want) => {
                self.ring.want_notifications(want);
                self.wants_notifications = want;
            }
        }
        assert_eq!(usize::from(self.ring.waiting()), self.shown.len(), "what the device sees");
        assert_eq!(self.ring.wants_interrupt(), self.wants_interrupts);
    }

    /// Writes the lie; false when there is no way to tell it now.
    fn tell(&mut self, lie: Lie) -> bool {
        // What the device may still say it is done with.
        let due = (self.shown.len() + self.fetched.len() + self.written.len()) as u16;
        let done = self.ring.used_index().wrapping_sub(self.written.len() as u16);
        match lie {
            Lie::Ahead(by) => self.ring.set_used_index(done.wrapping_add(due + by)),
            Lie::Back(by) => self.ring.set_used_index(done.wrapping_sub(by)),
            _ if due == 0 || !self.written.is_empty() => return false,
            Lie::NotLent => match (0..self.size).find(|slot| !self.is_lent(*slot)) {
                Some(slot) => _ = self.ring.finish(slot.into(), 0),
                None => return false,
            },
            Lie::NotShown => match self.offered.last() {
                Some(buffer) => _ = self.ring.finish(buffer.slot.into(), 0),
                None => return false,
            },
            Lie::NoSlot(far) => _ = self.ring.finish(far.max(self.size.into()), 0),
        }
        true
    }
}

proptest! {
    #[test]
    fn whatever_both_sides_do_each_slot_has_one_owner(
        log in 0u32..4,
        steps in prop::collection::vec(step(), 0..300),
        lie in lie(),
    ) {
        let mut pair = Pair::new(1 << log);
        for step in steps {
            pair.run(step);
        }
        // What was done before the lie is still true; a lie about what is less than that is seen
        // when all of it has been taken.
        while let Some(used) = pair.used.pop_front() {
            prop_assert_eq!(pair.queue.take(), Ok(Some(used)));
        }
        if !pair.tell(lie) {
            return Ok(());
        }
        for _ in 0..2 {
            prop_assert_eq!(pair.queue.take(), Err(Broken));
            prop_assert!(!pair.ring.wants_interrupt(), "a broken queue is silent");
            prop_assert!(!pair.queue.enable(), "there is nothing to take");
        }
        // Nothing more comes of it, whatever is offered.
        pair.ring.want_notifications(true);
        for slot in 0..pair.size {
            if !pair.is_lent(slot) {
                pair.offer(Buffer { slot, address: 0, length: 0, writable: false });
            }
        }
        prop_assert!(!pair.queue.notify() && !pair.device.was_rung(0));
        pair.ring.set_used_index(pair.ring.used_index());
        prop_assert_eq!(pair.queue.take(), Err(Broken));
        prop_assert!(!pair.ring.wants_interrupt());
    }
}

/// A device that is one step ahead of its driver's account: slots that were offered and that it has
/// not been shown are not its own.
#[test]
fn an_index_that_counts_what_was_not_shown_breaks_the_queue() {
    let mut pair = Pair::new(4);
    for slot in 0..2 {
        pair.offer(Buffer { slot, address: 1, length: 1, writable: true });
    }
    pair.ring.finish(0, 1);
    assert_eq!(pair.queue.take(), Err(Broken));
}
