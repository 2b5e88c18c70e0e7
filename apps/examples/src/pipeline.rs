//! A channel: a sensor that must not be late hands its samples to a printer that takes its time.
#![no_std]
#![no_main]

use reflex::prelude::*;
use reflex::{Sender, Tick, println, status};

const SAMPLES: u32 = 5;

struct Sensor {
    samples: Sender<u32>,
    taken: u32,
}

struct Printer {
    sum: u32,
}

#[reflex::main]
fn main(system: System) -> Result {
    let printer = system.context("printer", Printer { sum: 0 }).priority(Priority::LOW).build()?;
    let samples = system.channel::<u32>(8).on(printer, move |printer, sample| {
        printer.sum += sample;
        println!("sample {sample}, {} in all", printer.sum);
        if sample == SAMPLES * SAMPLES {
            system.exit(status::SUCCESS);
        }
    })?;
    let sensor = Sensor { samples, taken: 0 };
    // Of a higher priority, it interrupts the printer.
    let sensor = system.context("sensor", sensor).priority(Priority::HIGH).build()?;
    system.every(millis(1)).on(sensor, Sensor::sample)?;
    Ok(())
}

impl Sensor {
    fn sample(&mut self, tick: Tick) {
        let sample = (self.taken + 1) * (self.taken + 1);
        match self.samples.send(sample) {
            Ok(()) => self.taken += 1,
            Err(refused) => warn!("{} is taken again: {}", refused.value, refused.reason),
        }
        if self.taken == SAMPLES
            && let Err(error) = tick.timer.stop()
        {
            error!("{error}");
        }
    }
}
