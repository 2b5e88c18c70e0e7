//! The source: when it publishes, and what.

use crate::metrics::{DROPPED, HELD_UP, PUBLISHED, SUBSCRIBERS};
use alloc::vec;
use alloc::vec::Vec;
use reflex::netio::{Endpoint, Event, Memory, NetioError, PublishSocket};
use reflex::time::millis;
use reflex::{Context, Error, Instant, Signal, System, log, machine_line, status};

/// Messages published in one run: then others of the same priority have their turn.
const BATCH: u32 = 64;
/// Unbuffered messages under way.
const UNDER_WAY: usize = 8;

/// What is to be published.
pub(crate) struct Plan {
    pub(crate) tag: u64,
    pub(crate) size: usize,
    /// A second; 0 for as many as there is room for.
    pub(crate) rate: u64,
    pub(crate) count: u64,
    pub(crate) subscribers: u32,
    pub(crate) unbuffered: bool,
    pub(crate) icount: bool,
}

/// What it publishes with.
struct Means {
    endpoint: Endpoint,
    publisher: PublishSocket,
    again: Signal,
    /// Where unbuffered messages lie, a place each.
    memory: Memory,
}

/// The source's state.
pub(crate) struct Source {
    system: System,
    plan: Plan,
    means: Option<Means>,
    subscribed: u32,
    /// When it began, and what the processor had done then.
    began: Option<(Instant, u64)>,
    published: u64,
    /// Thousandths of messages that are due.
    due: u64,
    /// Unbuffered messages that have been sent.
    sent: u64,
    over: bool,
    /// The next message.
    message: Vec<u8>,
}

/// Gives the source what it publishes with, before anything else happens to it.
pub(crate) fn equip(
    system: System,
    context: Context<Source>,
    endpoint: Endpoint,
    publisher: PublishSocket,
    again: Signal,
) -> Result<(), Error> {
    let ticks = move |source: &mut Source, _| source.tick();
    let begin = move |source: &mut Source, _| {
        let memory =
            endpoint.memory(if source.plan.unbuffered { UNDER_WAY * source.plan.size } else { 8 });
        match memory {
            Ok(memory) => {
                let (endpoint, publisher) = (endpoint.clone(), publisher.clone());
                source.means = Some(Means { endpoint, publisher, again, memory });
                source.begin();
            }
            Err(error) => source.fail(&error.into()),
        }
    };
    system.after(millis(0)).on(context, begin)?;
    system.every(millis(1)).on(context, ticks)?;
    Ok(())
}

impl Source {
    pub(crate) fn new(system: System, plan: Plan) -> Self {
        let message = vec![0; plan.size];
        Self {
            system,
            plan,
            means: None,
            subscribed: 0,
            began: None,
            published: 0,
            due: 0,
            sent: 0,
            over: false,
            message,
        }
    }

    fn fail(&self, error: &Error) {
        log::error!("{error}");
        self.system.exit(status::MAIN_FAILED);
    }

    pub(crate) fn happened(&mut self, event: Event<'_>) {
        match event {
            Event::Up { .. } => SUBSCRIBERS.inc(),
            Event::Down { .. } => SUBSCRIBERS.dec(),
            Event::Subscribed { .. } => {
                self.subscribed += 1;
                self.begin();
            }
            Event::Unsubscribed { .. } => self.subscribed -= 1,
            Event::Sent { .. } => {
                self.sent += 1;
                self.go_on();
            }
            Event::Room { .. } => self.go_on(),
            _ => {}
        }
    }

    /// Begins, once there are enough subscribers.
    fn begin(&mut self) {
        if self.began.is_none() && self.means.is_some() && self.subscribed >= self.plan.subscribers
        {
            self.began = Some((self.system.now(), self.system.busy()));
            self.go_on();
        }
    }

    /// A millisecond has passed.
    fn tick(&mut self) {
        if let Some(Means { endpoint, .. }) = &self.means {
            let dropped = endpoint.counters().dropped;
            DROPPED.add(dropped.saturating_sub(DROPPED.get()));
        }
        if self.plan.rate > 0 && self.began.is_some() {
            // What could not be sent for a second is not made up for.
            self.due = (self.due + self.plan.rate).min(1000 * self.plan.rate);
            self.go_on();
        }
    }

    /// Publishes what is due.
    pub(crate) fn go_on(&mut self) {
        if self.began.is_none() || self.over {
            return;
        }
        for _ in 0..BATCH {
            if self.published == self.plan.count {
                return self.finish();
            }
            if self.plan.rate > 0 && self.due < 1000 {
                return;
            }
            match self.publish() {
                Ok(()) => {
                    self.published += 1;
                    PUBLISHED.inc();
                    self.due = self.due.saturating_sub(1000);
                }
                Err(Error::Netio(NetioError::Again)) => return HELD_UP.inc(),
                Err(error) => return self.fail(&error),
            }
        }
        if let Some(Means { again, .. }) = &self.means {
            // It is there as long as this is.
            let _ = again.fire();
        }
    }

    /// Publishes the next message.
    fn publish(&mut self) -> Result<(), Error> {
        let Self { published: number, plan, means, message, sent, .. } = self;
        let Some(Means { publisher, memory, .. }) = means else { return Ok(()) };
        message[8..].fill(*number as u8);
        message[..8].copy_from_slice(&number.to_le_bytes());
        if !plan.unbuffered {
            publisher.publish(plan.tag, message)?;
            return Ok(());
        }
        if *number - *sent >= UNDER_WAY as u64 {
            return Err(NetioError::Again.into());
        }
        let place = (*number as usize % UNDER_WAY) * plan.size;
        memory.write(place, message)?;
        publisher.publish_from(plan.tag, memory, place..place + plan.size, *number)?;
        Ok(())
    }

    /// All have been published: the rest is sent, and it is said how fast that went.
    fn finish(&mut self) {
        if self.plan.unbuffered && self.sent < self.published {
            return;
        }
        let (Some(means), Some((began, busy))) = (&self.means, self.began) else { return };
        means.publisher.flush();
        self.over = true;
        let Plan { size, count, subscribers, unbuffered, icount, .. } = self.plan;
        let how = if unbuffered { "unbuffered" } else { "buffered" };
        let nanos = self.system.now().since(began).as_nanos().max(1);
        let rate = u128::from(count) * 1_000_000_000 / nanos;
        machine_line!(
            "figure netio {how}-published size={size} count={count} subscribers={subscribers} \
             value={rate} unit=messages/s"
        );
        let (dropped, held_up) = (means.endpoint.counters().dropped, HELD_UP.get());
        machine_line!(
            "figure netio slow-subscribers held_up={held_up} value={dropped} unit=messages"
        );
        if icount {
            let each = (self.system.busy() - busy) / count;
            machine_line!(
                "figure netio {how}-publish-instructions size={size} count={count} \
                 subscribers={subscribers} value={each} unit=instructions"
            );
        }
    }
}
