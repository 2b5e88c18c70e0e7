//! A disk of the machine's, `scratch`: what is written is read, by interrupts, and what a context has under way when
//! it fails goes back (FL-1, FL-2).

use crate::containment::{SOON, until};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use reflex::disk::{BlockError, Completion, DiskError, Failure, Operation, Request, SECTOR};
use reflex::supervise::Setup;
use reflex::{Context, Error, Lent, Priority, System};

/// The machine's disk.
const SCRATCH: &str = "scratch";
/// Requests that a test may have under way.
const MOST: usize = 64;

/// What was told of each, by its id: 0 nothing yet; else 1 and, of a read, 256 times its first byte; or why it failed.
static TOLD: [AtomicU32; MOST] = [const { AtomicU32::new(0) }; MOST];
const DONE: u32 = 1;
const TIMED_OUT: u32 = 2;
const CANCELLED: u32 = 3;
const FAILED: u32 = 4;

fn told(done: &mut Completion<'_>) {
    let code = match done.result {
        Ok(()) => DONE,
        Err(Failure::TimedOut) => TIMED_OUT,
        Err(Failure::Cancelled) => CANCELLED,
        Err(Failure::Disk(_)) => FAILED,
    };
    let read = done.operation == Operation::Read;
    let first = done.bytes().first().filter(|_| read).map_or(0, |first| u32::from(*first));
    let before = TOLD[done.id as usize].swap(code | first << 8, Relaxed);
    assert_eq!(before, 0, "{} is told of twice", done.id);
}

fn forget() {
    TOLD.iter().for_each(|told| told.store(0, Relaxed));
}

/// Waits for so many, from the first on.
fn wait(count: usize) {
    until(|| TOLD[..count].iter().all(|told| told.load(Relaxed) != 0));
}

/// Sectors of a context's memory, all the same.
fn bytes<S>(system: System, of: Context<S>, sectors: usize, fill: u8) -> Result<Lent<[u8]>, Error> {
    let bytes = system.pool(of)?.bytes(sectors * SECTOR);
    let mut bytes = bytes.map_err(|_| "there is no memory for a request")?;
    bytes.fill(fill);
    Ok(bytes)
}

fn client(system: System) -> Result<Context<()>, Error> {
    system.context("client", ()).memory(4 << 20).build()
}

/// More requests than the device holds, with a flush between: all are done by interrupts, and read back as written.
#[reflex::test(group = "disks")]
fn what_is_written_is_read(system: System) -> Result<(), Error> {
    forget();
    let client = client(system)?;
    let disk = system.disk(SCRATCH)?.depth(MOST as u16).on(client, |(), done| told(done))?;
    let info = disk.info()?;
    assert!(info.sectors == (16 << 20) / SECTOR as u64 && info.volatile_cache, "{info:?}");
    assert_eq!((info.serial.as_str(), info.read_only), (SCRATCH, false));
    let place = |id: u64| id * 97 % 1_000 * 8;
    for id in 0..MOST as u64 {
        let write = Request::write(place(id), bytes(system, client, 8, id as u8 + 1)?);
        disk.submit(write.id(id))?;
    }
    wait(MOST);
    forget();
    disk.submit(Request::flush())?;
    wait(1);
    forget();
    let reads = (0..MOST as u64).map(|id| {
        let read = Request::read(place(id), bytes(system, client, 8, 0)?);
        Ok(read.id(id))
    });
    let reads: Result<alloc::vec::Vec<_>, Error> = reads.collect();
    let (taken, refused) = disk.submit_all(reads?);
    assert_eq!((taken, refused.is_none()), (MOST, true));
    wait(MOST);
    for (told, id) in TOLD.iter().zip(0_u32..) {
        assert_eq!(told.load(Relaxed), DONE | (id + 1) << 8, "{id}");
    }
    assert_eq!(disk.room(), MOST);
    Ok(())
}

/// Two pieces of memory, of which the first is not used whole, are one request; a megabyte is one, too.
#[reflex::test(group = "disks")]
fn requests_of_two_pieces_and_of_a_megabyte(system: System) -> Result<(), Error> {
    forget();
    let client = client(system)?;
    let disk = system.disk(SCRATCH)?.on(client, |(), done| told(done))?;
    let pieces = Request::write(0, bytes(system, client, 4, 0x11)?).prefix(SECTOR as u32);
    disk.submit(pieces.and(bytes(system, client, 1, 0x22)?))?;
    wait(1);
    disk.submit(Request::read(0, bytes(system, client, 1, 0)?).id(1))?;
    disk.submit(Request::read(1, bytes(system, client, 1, 0)?).id(2))?;
    disk.submit(Request::write(4096, bytes(system, client, 2048, 0x33)?).id(3))?;
    wait(4);
    disk.submit(Request::read(4096 + 2047, bytes(system, client, 1, 0)?).id(4))?;
    wait(5);
    let first = |id: usize| TOLD[id].load(Relaxed) >> 8;
    assert_eq!((first(1), first(2), first(4)), (0x11, 0x22, 0x33));
    Ok(())
}

/// What cannot be is refused, with a reason.
#[reflex::test(group = "disks")]
fn what_cannot_be_is_refused(system: System) -> Result<(), Error> {
    let client = client(system)?;
    assert!(matches!(system.disk("nowhere").err(), Some(Error::Disk(_))));
    assert!(matches!(system.disk("scratch/1").err(), Some(Error::Disk(_))), "no partitions");
    let open = |name: &str| system.disk(name)?.on(client, |(), _: &mut Completion<'_>| {});
    let disk = open(SCRATCH)?;
    let second = open("disk0").err();
    assert!(second.is_some_and(|error| matches!(error, Error::Disk(_))), "{second:?}");
    let end = disk.info()?.sectors;
    let refused = disk.submit(Request::read(end, bytes(system, client, 1, 0)?)).err();
    let error = refused.map(|refused| refused.error);
    assert_eq!(error, Some(DiskError::Disk(BlockError::OutOfRange)));
    Ok(())
}

static LIVES: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicU32 = AtomicU32::new(0);

/// Its own, in each of its lives.
struct Writer {
    disk: Option<reflex::disk::Disk>,
}

/// A context that fails with requests under way leaves nothing: its next life opens the disk, and what it asks for is
/// done after that.
#[reflex::test(group = "disks")]
fn a_context_that_fails_has_its_disk_again(system: System) -> Result<(), Error> {
    const FAILURES: u32 = 8;
    let context = system
        .context_with("writer", move |setup: Setup<'_, Writer>| {
            let disk = system.disk(SCRATCH)?.on(setup.context(), |_: &mut Writer, done| {
                if done.operation == Operation::Read {
                    return told(done);
                }
                let first = done.bytes().first().copied();
                LAST.store(first.map_or(0, u32::from), Relaxed);
            })?;
            LIVES.fetch_add(1, Relaxed);
            Ok::<_, Error>(Writer { disk: Some(disk) })
        })
        .memory(1 << 20)
        .priority(Priority::HIGH)
        .backoff(SOON, SOON)
        .build()?;
    for life in 1..=FAILURES + 1 {
        until(|| LIVES.load(Relaxed) == life);
        system.after(SOON).on(context, move |writer: &mut Writer, _| {
            for sector in 0..16 {
                let write = bytes(system, context, 1, life as u8);
                let write = write.map(|bytes| Request::write(sector, bytes));
                let disk = writer.disk.as_ref().ok_or(Error::Disk("it is closed"));
                let taken = write.and_then(|write| Ok(disk?.submit(write)?));
                assert!(taken.is_ok(), "{taken:?}");
            }
            assert!(life > FAILURES, "with requests under way");
        })?;
    }
    until(|| LAST.load(Relaxed) == FAILURES + 1);
    // Nothing of the lives before it is done later.
    forget();
    system.after(SOON).on(context, move |writer: &mut Writer, _| {
        let Some(disk) = &writer.disk else { return };
        for sector in 0..16 {
            let read = bytes(system, context, 1, 0);
            let read = read.map(|bytes| Request::read(sector, bytes).id(sector));
            let taken = read.and_then(|read| Ok(disk.submit(read)?));
            assert!(taken.is_ok(), "{taken:?}");
        }
    })?;
    wait(16);
    let last = |told: &AtomicU32| told.load(Relaxed) == DONE | (FAILURES + 1) << 8;
    assert!(TOLD[..16].iter().all(last), "{TOLD:?}");
    system.after(SOON).on(context, |writer: &mut Writer, _| drop(writer.disk.take()))?;
    // It is to be had again.
    until(|| system.disk(SCRATCH).and_then(|disk| disk.on(context, |_, _| {})).is_ok());
    Ok(())
}
