//! Commands on the time that keys have.

use super::Done;
use crate::command::Call;
use crate::database::Database;
use crate::deadlines::Deadlines;
use crate::entry::NEVER;
use crate::failure::Failure;

/// What a time is counted in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

impl Unit {
    const fn milliseconds(self) -> i64 {
        match self {
            Self::Seconds => 1_000,
            Self::Milliseconds => 1,
        }
    }
}

/// The deadline `time` from now, which is to be above zero.
pub(super) fn deadline(
    now: u64,
    time: i64,
    unit: Unit,
    name: &'static str,
) -> Result<u64, Failure> {
    if time <= 0 {
        return Err(Failure::ExpireTime(name));
    }
    moment(now as i64, time, unit, name)
}

/// The deadline at `time`, which is to be above zero.
pub(super) fn deadline_at(time: i64, unit: Unit, name: &'static str) -> Result<u64, Failure> {
    deadline(0, time, unit, name)
}

/// What is `time` from `begin`; 0 when that was before 1970.
fn moment(begin: i64, time: i64, unit: Unit, name: &'static str) -> Result<u64, Failure> {
    let moment = time.checked_mul(unit.milliseconds()).and_then(|time| time.checked_add(begin));
    let moment = moment.ok_or(Failure::ExpireTime(name))?;
    Ok(u64::try_from(moment).unwrap_or(0))
}

/// Sets when a key's time is up; removes it when that is in the past.
fn set<D: Deadlines>(
    database: &mut Database<D>,
    call: &mut Call<'_, '_>,
    (begin, unit, name): (u64, Unit, &'static str),
) -> Done {
    let key = call.command.key(1)?;
    let deadline = moment(begin as i64, call.command.integer(2)?, unit, name)?;
    let place = database.store.find(key, call.now, call.blobs);
    match place {
        Some(place) if deadline <= call.now => database.store.remove(place, call.blobs),
        Some(place) => database.store.set_deadline(place, deadline),
        None => {}
    }
    call.reply.integer(place.is_some().into());
    Ok(())
}

pub(super) fn expire<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    set(database, call, (call.now, Unit::Seconds, "expire"))
}

pub(super) fn pexpire<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    set(database, call, (call.now, Unit::Milliseconds, "pexpire"))
}

pub(super) fn expireat<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    set(database, call, (0, Unit::Seconds, "expireat"))
}

/// Milliseconds that a key has: -1 without a deadline, -2 without the key.
fn left<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Result<i64, Failure> {
    let key = call.command.key(1)?;
    let place = database.store.find(key, call.now, call.blobs);
    Ok(match place.and_then(|place| database.store.entry(place)).map(|entry| entry.deadline) {
        None => -2,
        Some(NEVER) => -1,
        Some(deadline) => (deadline - call.now) as i64,
    })
}

pub(super) fn ttl<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let left = left(database, call)?;
    // Rounded, as redis does.
    call.reply.integer(if left < 0 { left } else { left / 1_000 + (left % 1_000) / 500 });
    Ok(())
}

pub(super) fn pttl<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let left = left(database, call)?;
    call.reply.integer(left);
    Ok(())
}

pub(super) fn persist<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let key = call.command.key(1)?;
    let place = database.store.find(key, call.now, call.blobs);
    let timed = place
        .filter(|place| database.store.entry(*place).is_some_and(|entry| entry.deadline != NEVER));
    timed.into_iter().for_each(|place| database.store.set_deadline(place, NEVER));
    call.reply.integer(timed.is_some().into());
    Ok(())
}
