//! Commands on values.

use super::Done;
use super::expiry::{Unit, deadline, deadline_at};
use crate::command::Call;
use crate::database::{Database, Expiry};
use crate::deadlines::Deadlines;
use crate::entry::NEVER;
use crate::failure::Failure;

#[inline]
pub(super) fn get<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let key = call.command.key(1)?;
    database.read(key, call);
    Ok(())
}

/// When SET sets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    /// NX.
    Absent,
    /// XX.
    Present,
}

/// What stands behind SET's value.
struct Options {
    condition: Condition,
    expiry: Expiry,
    /// GET: the value that there was is the answer.
    get: bool,
}

impl Options {
    fn of(call: &Call<'_, '_>) -> Result<Self, Failure> {
        let command = call.command;
        let (mut condition, mut expiry, mut get) = (Condition::Always, None, false);
        let mut at = 3;
        while at < command.len() {
            let free = condition == Condition::Always;
            if command.is(at, "nx") && free {
                condition = Condition::Absent;
            } else if command.is(at, "xx") && free {
                condition = Condition::Present;
            } else if command.is(at, "get") {
                get = true;
            } else if command.is(at, "keepttl") && expiry.is_none() {
                expiry = Some(Expiry::Keep);
            } else if expiry.is_none() && at + 1 < command.len() {
                expiry = Some(Expiry::Set(time_to_live(call, at)?));
                at += 1;
            } else {
                return Err(Failure::Syntax);
            }
            at += 1;
        }
        Ok(Self { condition, expiry: expiry.unwrap_or(Expiry::Set(NEVER)), get })
    }
}

/// The deadline that the option at `at` and the number behind it say.
fn time_to_live(call: &Call<'_, '_>, at: usize) -> Result<u64, Failure> {
    let command = call.command;
    let number = || command.integer(at + 1);
    if command.is(at, "ex") {
        deadline(call.now, number()?, Unit::Seconds, "set")
    } else if command.is(at, "px") {
        deadline(call.now, number()?, Unit::Milliseconds, "set")
    } else if command.is(at, "exat") {
        deadline_at(number()?, Unit::Seconds, "set")
    } else if command.is(at, "pxat") {
        deadline_at(number()?, Unit::Milliseconds, "set")
    } else {
        Err(Failure::Syntax)
    }
}

#[inline]
pub(super) fn set<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let (key, value) = (call.command.key(1)?, call.command.operand(2));
    if call.command.len() > 3 {
        return set_by_options(database, call);
    }
    database.put(key, value, Expiry::Set(NEVER), call)?;
    call.reply.ok();
    Ok(())
}

fn set_by_options<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let (key, value) = (call.command.key(1)?, call.command.operand(2));
    let options = Options::of(call)?;
    let there = database.store.find(key, call.now, call.blobs);
    if options.get {
        match there {
            Some(place) => database.answer(place, call),
            None => call.reply.null(),
        }
        if call.reply.has_failed() {
            return Err(Failure::ReplyTooLarge);
        }
    }
    let sets = match options.condition {
        Condition::Always => true,
        Condition::Absent => there.is_none(),
        Condition::Present => there.is_some(),
    };
    if sets {
        database.put(key, value, options.expiry, call)?;
    }
    match (options.get, sets) {
        (true, _) => {}
        (false, true) => call.reply.ok(),
        (false, false) => call.reply.null(),
    }
    Ok(())
}

fn set_for<D: Deadlines>(
    database: &mut Database<D>,
    call: &mut Call<'_, '_>,
    (unit, name): (Unit, &'static str),
) -> Done {
    let (key, value) = (call.command.key(1)?, call.command.operand(3));
    let deadline = deadline(call.now, call.command.integer(2)?, unit, name)?;
    database.put(key, value, Expiry::Set(deadline), call)?;
    call.reply.ok();
    Ok(())
}

pub(super) fn setex<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    set_for(database, call, (Unit::Seconds, "setex"))
}

pub(super) fn psetex<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    set_for(database, call, (Unit::Milliseconds, "psetex"))
}

pub(super) fn setnx<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let (key, value) = (call.command.key(1)?, call.command.operand(2));
    let absent = database.store.find(key, call.now, call.blobs).is_none();
    if absent {
        database.put(key, value, Expiry::Set(NEVER), call)?;
    }
    call.reply.integer(absent.into());
    Ok(())
}

pub(super) fn getset<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let (key, value) = (call.command.key(1)?, call.command.operand(2));
    database.read(key, call);
    if call.reply.has_failed() {
        return Err(Failure::ReplyTooLarge);
    }
    database.put(key, value, Expiry::Set(NEVER), call)
}

pub(super) fn getdel<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let key = call.command.key(1)?;
    database.read(key, call);
    if call.reply.has_failed() {
        return Err(Failure::ReplyTooLarge);
    }
    if let Some(place) = database.store.find(key, call.now, call.blobs) {
        database.store.remove(place, call.blobs);
    }
    Ok(())
}

pub(super) fn mget<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    call.reply.array(call.command.len() - 1);
    for at in 1..call.command.len() {
        let key = call.command.key(at)?;
        database.read(key, call);
    }
    Ok(())
}

/// Keys are set one after the other: those in front of one that finds no memory are set.
pub(super) fn mset<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let words = call.command.len();
    if words.is_multiple_of(2) {
        return Err(Failure::Arguments("mset"));
    }
    for at in (1..words).step_by(2) {
        call.command.key(at)?;
    }
    for at in (1..words).step_by(2) {
        let (key, value) = (call.command.key(at)?, call.command.operand(at + 1));
        database.put(key, value, Expiry::Set(NEVER), call)?;
    }
    call.reply.ok();
    Ok(())
}

pub(super) fn append<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let (key, value) = (call.command.key(1)?, call.command.operand(2));
    let length = database.append(key, value, call)?;
    call.reply.integer(length as i64);
    Ok(())
}

pub(super) fn strlen<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let key = call.command.key(1)?;
    let place = database.store.touch(key, call.now, call.blobs);
    let length = place.map_or(0, |place| database.length(place, call.blobs));
    call.reply.integer(length as i64);
    Ok(())
}
