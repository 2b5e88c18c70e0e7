//! An intake between a 16550 as its data sheet has it and a reader that comes when it likes.

use super::{Intake, Port};
use proptest::prelude::*;
use reflex_arch::serial::{FIFO_BYTES, ReceiveStatus};
use std::cell::RefCell;
use std::collections::VecDeque;

/// The receiving half of a 16550, and the interrupt controller behind it.
#[derive(Default)]
struct Uart {
    fifo: VecDeque<u8>,
    enabled: bool,
    overrun: bool,
    /// Nothing has come or gone for the time of four characters.
    silent: bool,
    was_up: bool,
    /// The controller has seen the wire go up.
    edge: bool,
}

impl Uart {
    const TRIGGER: usize = 8;

    fn up(&self) -> bool {
        let due = self.fifo.len() >= Self::TRIGGER || self.silent && !self.fifo.is_empty();
        self.enabled && due
    }

    fn settle(&mut self) {
        let up = self.up();
        self.edge |= up && !self.was_up;
        self.was_up = up;
    }
}

/// The same as interrupt code reaches it.
#[derive(Default)]
struct Fake(RefCell<Uart>);

impl Fake {
    fn change<R>(&self, change: impl FnOnce(&mut Uart) -> R) -> R {
        let mut uart = self.0.borrow_mut();
        let result = change(&mut uart);
        uart.settle();
        result
    }

    /// A byte comes; false when there is no room and it is lost.
    fn receive(&self, byte: u8) -> bool {
        self.change(|uart| {
            uart.silent = false;
            if uart.fifo.len() == FIFO_BYTES {
                uart.overrun = true;
                return false;
            }
            uart.fifo.push_back(byte);
            true
        })
    }

    /// A sender with flow control: no byte comes when there is no room.
    fn accepts(&self) -> bool {
        self.0.borrow().fifo.len() < FIFO_BYTES
    }

    fn fall_silent(&self) {
        self.change(|uart| uart.silent = true);
    }

    /// Whether an interrupt is taken now, by either way to trigger it.
    fn interrupts(&self, by_level: bool) -> bool {
        let mut uart = self.0.borrow_mut();
        let edge = std::mem::take(&mut uart.edge);
        if by_level { uart.up() } else { edge }
    }
}

impl Port for Fake {
    fn status(&self) -> ReceiveStatus {
        self.change(|uart| ReceiveStatus {
            ready: !uart.fifo.is_empty(),
            overrun: std::mem::take(&mut uart.overrun),
        })
    }

    fn take(&self) -> u8 {
        self.change(|uart| {
            uart.silent = false;
            uart.fifo.pop_front().expect("only what is ready is taken")
        })
    }

    fn enable(&self) {
        self.change(|uart| uart.enabled = true);
    }

    fn disable(&self) {
        self.change(|uart| uart.enabled = false);
    }
}

const RING: usize = 32;

/// An intake, and what went in and came out.
struct Setting {
    intake: Intake<Fake, RING>,
    by_level: bool,
    next: u8,
    sent: Vec<u8>,
    told: usize,
    taken: Vec<u8>,
    lost: u32,
}

impl Setting {
    fn new(by_level: bool) -> Self {
        let intake = Intake::new(Fake::default());
        intake.start();
        Self { intake, by_level, next: 0, sent: Vec::new(), told: 0, taken: Vec::new(), lost: 0 }
    }

    fn send(&mut self) {
        let byte = self.next;
        self.next = byte.wrapping_add(1);
        if self.intake.port.receive(byte) {
            self.sent.push(byte);
        } else {
            self.lost += 1;
        }
    }

    /// Takes the interrupts that are due. True when there was one.
    fn interrupt(&mut self) -> bool {
        let mut any = false;
        for _ in 0..1000 {
            if !self.intake.port.interrupts(self.by_level) {
                return any;
            }
            any = true;
            self.intake.interrupted();
        }
        panic!("interrupts without end");
    }

    /// The job runs, once for any number of interrupts.
    fn tell(&mut self) {
        self.told += self.intake.arrived() as usize;
        assert_eq!(self.intake.waiting(), self.told - self.taken.len());
    }

    fn read(&mut self, most: usize) -> usize {
        let mut buffer = vec![0; most];
        let taken = self.intake.take(&mut buffer);
        self.taken.extend_from_slice(&buffer[..taken]);
        taken
    }

    /// The line falls silent and the reader takes what it is told of, until nothing moves.
    fn drain(&mut self) {
        loop {
            self.intake.port.fall_silent();
            let interrupted = self.interrupt();
            self.tell();
            if self.read(5) == 0 && !interrupted {
                return;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    FallSilent,
    Interrupt,
    Spurious,
    Tell,
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..40usize).prop_map(Step::Send),
        Just(Step::FallSilent),
        Just(Step::Interrupt),
        Just(Step::Spurious),
        Just(Step::Tell),
        (0..40usize).prop_map(Step::Read),
    ]
}

proptest! {
    /// With a sender that waits for room, every byte arrives, once and in order; with any other,
    /// what is lost is told of.
    #[test]
    fn nothing_is_lost_silently(
        by_level: bool,
        flow_control: bool,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut setting = Setting::new(by_level);
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    for _ in 0..bytes {
                        if !flow_control || setting.intake.port.accepts() {
                            setting.send();
                        }
                    }
                }
                Step::FallSilent => setting.intake.port.fall_silent(),
                Step::Interrupt => drop(setting.interrupt()),
                Step::Spurious => drop(setting.intake.interrupted()),
                Step::Tell => setting.tell(),
                Step::Read(most) => drop(setting.read(most)),
            }
        }
        setting.drain();
        prop_assert_eq!(&setting.taken, &setting.sent);
        prop_assert_eq!(setting.told, setting.sent.len());
        prop_assert_eq!(setting.intake.overruns() > 0, setting.lost > 0);
        prop_assert!(setting.intake.overruns() <= setting.lost);
    }
}

#[test]
fn a_full_ring_holds_the_sender_up_until_there_is_room() {
    let mut setting = Setting::new(false);
    for _ in 0..RING + FIFO_BYTES {
        assert!(setting.intake.port.accepts());
        setting.send();
        setting.interrupt();
    }
    assert_eq!(setting.intake.waiting(), RING);
    assert_eq!(setting.intake.throttlings(), 1);
    assert!(!setting.intake.port.accepts(), "the sender goes on though nobody reads");
    setting.intake.port.fall_silent();
    assert!(!setting.interrupt(), "the port interrupts though nobody has room");
    // Room for less than the port holds is none yet.
    assert_eq!(setting.read(FIFO_BYTES - 1), FIFO_BYTES - 1);
    assert!(!setting.interrupt());
    assert_eq!(setting.read(1), 1);
    assert!(setting.interrupt());
    assert!(setting.intake.port.accepts());
    setting.drain();
    assert_eq!(setting.taken, setting.sent);
    assert_eq!(setting.intake.overruns(), 0);
}

/// Two threads meet anywhere in each other's steps, which one interrupt in a processor does too.
#[test]
fn two_sides_at_once_lose_nothing() {
    let ring = super::ring::ByteRing::<16>::new();
    const BYTES: usize = 200_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in 0..BYTES {
                while ring.room() == 0 {
                    std::thread::yield_now();
                }
                ring.push(count as u8);
            }
        });
        let mut buffer = [0; 7];
        let mut expected = 0usize;
        while expected < BYTES {
            let taken = ring.pop(&mut buffer);
            if taken == 0 {
                std::thread::yield_now();
            }
            for byte in &buffer[..taken] {
                assert_eq!(*byte, expected as u8);
                expected += 1;
            }
        }
        assert_eq!(ring.pop(&mut buffer), 0);
    });
}
