//! Values that are numbers.

use super::Done;
use crate::command::{Call, Operand};
use crate::database::{Database, Expiry};
use crate::deadlines::Deadlines;
use crate::entry::{Entry, Value};
use crate::failure::Failure;
use crate::number::{Decimal, parse};

/// Adds to the number that a key's value is: 0 if there is none.
fn add<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>, more: i64) -> Done {
    let key = call.command.key(1)?;
    let place = database.store.find(key, call.now, call.blobs);
    let before = match place.and_then(|place| database.store.entry(place)).map(Entry::value) {
        None => 0,
        Some(Value::Inline(text)) => parse(text).ok_or(Failure::NotInteger)?,
        Some(Value::Blob(_)) => return Err(Failure::NotInteger),
    };
    let sum = before.checked_add(more).ok_or(Failure::Overflow)?;
    database.put(key, Operand::Text(Decimal::new(sum).text()), Expiry::Keep, call)?;
    call.reply.integer(sum);
    Ok(())
}

pub(super) fn incr<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    add(database, call, 1)
}

pub(super) fn decr<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    add(database, call, -1)
}

pub(super) fn incrby<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let more = call.command.integer(2)?;
    add(database, call, more)
}

pub(super) fn decrby<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let less = call.command.integer(2)?.checked_neg().ok_or(Failure::Overflow)?;
    add(database, call, less)
}
