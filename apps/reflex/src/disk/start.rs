//! Starting the disks: each a device of the library OS's over the machine's.

use super::Listed;
use crate::{Error, System};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;
use reflex_block::{Device, Partition, partitions};
use reflex_boot::disks;
use reflex_event::{Context, EventSystem as _};
use reflex_hil::Block;
use reflex_runtime::{ContextOptions, Origin, Runtime};

/// How long a disk may take to answer when it is started.
const PATIENCE: Duration = Duration::from_secs(2);
/// Event memory of the context of disks: its registrations, and partition tables as they are read.
const MEMORY: usize = 256 << 10;

/// The machine's disks.
pub(crate) struct Disks(Vec<Started>);

struct Started {
    device: Device<Runtime>,
    partitions: Box<[Partition]>,
}

impl Disks {
    /// Starts what the machine has. What cannot be used is logged.
    pub(super) fn start(system: System) -> Result<Self, Error> {
        let kernel = system.kernel();
        let limit = kernel.now() + PATIENCE;
        let found = disks::disks(system.machine(), || kernel.now() > limit);
        let mut started = Vec::with_capacity(found.len());
        if found.is_empty() {
            return Ok(Self(started));
        }
        let options = ContextOptions {
            memory: MEMORY,
            origin: Origin::System,
            ..ContextOptions::new("disk")
        };
        let context = kernel.context(options, ())?;
        let mut lines = Vec::with_capacity(found.len());
        for (number, found) in found.into_iter().enumerate() {
            match found {
                Ok((disk, line)) => {
                    started.push(Started::new(kernel, context, number, disk)?);
                    lines.push(line);
                }
                Err(error) => log::warn!("disk{number}: {error}"),
            }
        }
        let devices = started.iter().map(|started| started.device.clone());
        let ended = Device::ends(&kernel, context, devices)?;
        for (started, line) in started.iter().zip(lines) {
            line.connect(kernel, started.device.start(context, ended)?)?;
        }
        Ok(Self(started))
    }

    /// The disk, or the partition, of that name.
    pub(super) fn find(&self, name: &str) -> Option<(&Device<Runtime>, Range<u64>)> {
        let (disk, partition) = match name.split_once('/') {
            Some((disk, partition)) => (disk, Some(partition)),
            None => (name, None),
        };
        let number = disk.strip_prefix("disk").and_then(|number| number.parse::<usize>().ok());
        let mut named = self.0.iter().filter(|it| it.device.info().serial.as_str() == disk);
        let started = named.next().or_else(|| self.0.get(number?))?;
        let Some(partition) = partition else {
            return Some((&started.device, 0..started.device.info().sectors));
        };
        let found = started.partitions.iter().find(|it| it.is_called(partition))?;
        Some((&started.device, found.range.clone()))
    }

    pub(super) fn list(&'static self) -> impl Iterator<Item = Listed<'static>> {
        self.0.iter().map(|started| {
            let info = started.device.info();
            Listed { serial: info.serial.as_str(), info, partitions: &started.partitions }
        })
    }
}

impl Started {
    fn new(
        kernel: Runtime,
        context: Context<()>,
        number: usize,
        mut disk: Box<dyn Block>,
    ) -> Result<Self, Error> {
        let limit = kernel.now() + PATIENCE;
        let table = partitions(&mut *disk, kernel.pool(context)?, || kernel.now() > limit);
        let partitions = table.unwrap_or_else(|error| {
            log::warn!("disk{number}: {error}");
            Vec::new()
        });
        let info = *disk.info();
        log::info!(
            "disk{number} {}: {} MiB, {} partitions{}",
            info.serial.as_str(),
            info.sectors >> 11,
            partitions.len(),
            if info.read_only { ", read-only" } else { "" },
        );
        let device = Device::new(kernel, disk)?;
        Ok(Self { device, partitions: partitions.into() })
    }
}
