//! Commands on keys.

use super::Done;
use crate::command::Call;
use crate::database::Database;
use crate::deadlines::Deadlines;
use crate::entry::Entry;
use crate::failure::Failure;
use crate::glob::matches;
use crate::number::{Decimal, parse};

/// Keys that SCAN looks at unless it says.
const USUAL_COUNT: i64 = 10;

/// Does something with each key of a command that is there; answers how many these were.
fn each<D: Deadlines>(
    database: &mut Database<D>,
    call: &mut Call<'_, '_>,
    removes: impl Fn(&mut Database<D>, &[u8], &mut Call<'_, '_>) -> bool,
) -> Done {
    let mut there = 0;
    for at in 1..call.command.len() {
        let key = call.command.key(at)?;
        there += i64::from(removes(database, key, call));
    }
    call.reply.integer(there);
    Ok(())
}

pub(super) fn del<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    each(database, call, |database, key, call| {
        let place = database.store.find(key, call.now, call.blobs);
        place.into_iter().for_each(|place| database.store.remove(place, call.blobs));
        place.is_some()
    })
}

pub(super) fn exists<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    each(database, call, |database, key, call| {
        database.store.find(key, call.now, call.blobs).is_some()
    })
}

pub(super) fn touch<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    each(database, call, |database, key, call| {
        database.store.touch(key, call.now, call.blobs).is_some()
    })
}

/// TYPE: all values are strings.
pub(super) fn kind<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let key = call.command.key(1)?;
    let there = database.store.find(key, call.now, call.blobs).is_some();
    call.reply.simple(if there { "string" } else { "none" });
    Ok(())
}

pub(super) fn dbsize<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    call.reply.integer(database.store.counters().keys.get() as i64);
    Ok(())
}

pub(super) fn flush<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let said = call.command.len() < 2 || call.command.is(1, "sync") || call.command.is(1, "async");
    if !said || call.command.len() > 2 {
        return Err(Failure::Syntax);
    }
    database.store.clear(call.blobs);
    call.reply.ok();
    Ok(())
}

pub(super) fn keys<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let pattern = call.command.word(1)?;
    let (store, now) = (&database.store, call.now);
    let all = |each: &mut dyn FnMut(&[u8])| {
        store.scan(0, usize::MAX, |entry| {
            if entry.deadline > now && matches(pattern, entry.key()) {
                each(entry.key());
            }
        });
    };
    let mut found = 0;
    all(&mut |_| found += 1);
    call.reply.array(found);
    all(&mut |key| call.reply.bulk(key));
    Ok(())
}

/// What stands behind SCAN's cursor.
struct Scan<'a> {
    pattern: &'a [u8],
    count: usize,
    /// Keys of the asked type: all are strings.
    none: bool,
}

impl<'a> Scan<'a> {
    fn of(call: &Call<'a, '_>) -> Result<Self, Failure> {
        let command = call.command;
        let mut scan = Self { pattern: b"*", count: USUAL_COUNT as usize, none: false };
        for at in (2..command.len()).step_by(2) {
            if at + 1 == command.len() {
                return Err(Failure::Syntax);
            } else if command.is(at, "match") {
                scan.pattern = command.word(at + 1)?;
            } else if command.is(at, "count") {
                let count = usize::try_from(command.integer(at + 1)?).unwrap_or(0);
                scan.count = if count > 0 { count } else { return Err(Failure::Syntax) };
            } else if command.is(at, "type") {
                scan.none = !command.is(at + 1, "string");
            } else {
                return Err(Failure::Syntax);
            }
        }
        Ok(scan)
    }
}

/// A cursor is half of the hash at which the scan goes on, which is even: so it fits a number with a sign, too.
pub(super) fn scan<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let cursor = parse(call.command.word(1)?).and_then(|cursor| u64::try_from(cursor).ok());
    let cursor = cursor.and_then(|cursor| cursor.checked_mul(2)).ok_or(Failure::Cursor)?;
    let scan = Scan::of(call)?;
    let (store, now) = (&database.store, call.now);
    let mut found = 0;
    let wanted =
        |entry: &Entry| !scan.none && entry.deadline > now && matches(scan.pattern, entry.key());
    let next = store.scan(cursor, scan.count, |entry| found += usize::from(wanted(entry)));
    call.reply.array(2);
    call.reply.bulk(Decimal::new((next / 2) as i64).text());
    call.reply.array(found);
    store.scan(cursor, scan.count, |entry| {
        if wanted(entry) {
            call.reply.bulk(entry.key());
        }
    });
    Ok(())
}
