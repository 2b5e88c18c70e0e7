//! What commands do with keys and values.

use crate::arguments::LONGEST_VALUE;
use crate::blobs::{BlobId, Blobs};
use crate::command::{Call, Operand};
use crate::counters::Shared;
use crate::deadlines::Deadlines;
use crate::engine::Engine;
use crate::entry::{Entry, NEVER, Value, is_inline};
use crate::failure::Failure;
use crate::store::{Place, Store};
use alloc::sync::Arc;
use reflex_collections::Memory;

/// What a key takes beside its block: its place in a table, with what of that is free.
const OVERHEAD: usize = 128;

/// What becomes of a key's deadline when its value is set.
#[derive(Clone, Copy)]
pub(crate) enum Expiry {
    Keep,
    /// [`NEVER`] for none.
    Set(u64),
}

/// The commands of a store.
pub struct Database<D> {
    pub(crate) store: Store<D>,
    /// When it began, in milliseconds since 1970.
    pub(crate) started: u64,
}

impl<D: Deadlines> Engine<Database<D>> {
    /// The time under `hash` is up, as [`Deadlines`] were to tell.
    pub fn expire(&mut self, hash: u64, now: u64) {
        self.with_commands(|database, blobs| database.store.expire(hash, now, blobs));
    }

    /// Evicts what is beyond the limit of memory, which has been changed.
    pub fn trim(&mut self) {
        // With another policy the next write is refused.
        let _ = self.with_commands(|database, blobs| database.store.make_room(0, blobs));
    }
}

impl<D: Deadlines> Database<D> {
    /// An empty one, in the memory of its context. `random` is any number that is drawn by chance.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`].
    pub fn new(
        memory: Memory,
        shared: Arc<Shared>,
        deadlines: D,
        (random, now): (u64, u64),
    ) -> Result<Self, Failure> {
        Ok(Self { store: Store::new(memory, shared, deadlines, random)?, started: now })
    }

    /// Answers with the value of a key that is there.
    #[inline]
    pub(crate) fn answer(&self, place: Place, call: &mut Call<'_, '_>) {
        match self.store.entry(place).map(Entry::value) {
            Some(Value::Inline(value)) => call.reply.bulk(value),
            Some(Value::Blob(id)) => call.reply.blob(id, call.blobs),
            None => call.reply.null(),
        }
    }

    /// Answers with a key's value, or nothing.
    #[inline]
    pub(crate) fn read(&mut self, key: &[u8], call: &mut Call<'_, '_>) {
        match self.store.touch(key, call.now, call.blobs) {
            Some(place) => {
                self.store.counters().hits.add(1);
                self.answer(place, call);
            }
            None => {
                self.store.counters().misses.add(1);
                call.reply.null();
            }
        }
    }

    /// Sets a key's value.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`]; the key is as before, unless it was evicted.
    #[inline]
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        value: Operand<'_>,
        expiry: Expiry,
        call: &mut Call<'_, '_>,
    ) -> Result<(), Failure> {
        if let Operand::Text(text) = value
            && is_inline(key.len(), text.len())
            && let Some(place) = self.store.touch(key, call.now, call.blobs)
            && let Some(entry) = self.store.entry_mut(place)
            && entry.blob().is_none()
            && entry.holds(text.len())
        {
            entry.set_inline(text)?;
            if let Expiry::Set(deadline) = expiry {
                self.store.set_deadline(place, deadline);
            }
            return Ok(());
        }
        self.put_anew(key, value, expiry, call)
    }

    /// As [`put`](Self::put), in a block of its own.
    fn put_anew(
        &mut self,
        key: &[u8],
        value: Operand<'_>,
        expiry: Expiry,
        call: &mut Call<'_, '_>,
    ) -> Result<(), Failure> {
        let mut entry = self.entry(key, value, call.blobs)?;
        loop {
            if let Some(place) = self.store.find(key, call.now, call.blobs) {
                self.exchange(place, entry, call.blobs);
                break;
            }
            match self.store.insert(entry) {
                Ok(()) => break,
                Err(refused) => {
                    if let Err(failure) = self.store.evict(call.blobs) {
                        refused.blob().into_iter().for_each(|id| call.blobs.release(id));
                        return Err(failure);
                    }
                    entry = refused;
                }
            }
        }
        if let Expiry::Set(deadline) = expiry
            && let Some(place) = self.store.find(key, call.now, call.blobs)
        {
            self.store.set_deadline(place, deadline);
        }
        Ok(())
    }

    /// An entry that is not in the store yet.
    fn entry(
        &mut self,
        key: &[u8],
        value: Operand<'_>,
        blobs: &mut Blobs,
    ) -> Result<Entry, Failure> {
        let hash = self.store.hash(key);
        match value {
            Operand::Text(text) if is_inline(key.len(), text.len()) => {
                let bytes = key.len() + text.len();
                self.store.make_room(bytes + OVERHEAD, blobs)?;
                let block = self.store.block(bytes, blobs)?;
                let mut entry = Entry::new(block, key, hash)?;
                entry.set_inline(text)?;
                Ok(entry)
            }
            Operand::Text(text) => {
                self.store.make_room(key.len() + text.len() + OVERHEAD, blobs)?;
                let id = loop {
                    match blobs.of(text) {
                        Ok(id) => break id,
                        Err(_) => self.store.evict(blobs)?,
                    }
                };
                self.long_entry(key, id, blobs).inspect_err(|_| blobs.release(id))
            }
            Operand::Blob(id) => {
                self.store.make_room(key.len() + OVERHEAD, blobs)?;
                let entry = self.long_entry(key, id, blobs)?;
                // The command has a reference of its own.
                blobs.retain(id);
                Ok(entry)
            }
        }
    }

    fn long_entry(&mut self, key: &[u8], id: BlobId, blobs: &mut Blobs) -> Result<Entry, Failure> {
        let block = self.store.block(key.len() + size_of::<BlobId>(), blobs)?;
        let mut entry = Entry::new(block, key, self.store.hash(key))?;
        entry.set_blob(id)?;
        Ok(entry)
    }

    /// Puts an entry to the place of another one with its key.
    fn exchange(&mut self, place: Place, mut entry: Entry, blobs: &mut Blobs) {
        let used = self.store.tick();
        let Some(former) = self.store.entry_mut(place) else { return };
        (entry.used, entry.deadline) = (used, former.deadline);
        let former = core::mem::replace(former, entry);
        former.blob().into_iter().for_each(|id| blobs.release(id));
    }

    /// Puts bytes behind a key's value; returns how long it is then.
    ///
    /// # Errors
    /// [`Failure::OutOfMemory`], [`Failure::ValueTooLong`]; the value is as before.
    pub(crate) fn append(
        &mut self,
        key: &[u8],
        value: Operand<'_>,
        call: &mut Call<'_, '_>,
    ) -> Result<usize, Failure> {
        let more = match value {
            Operand::Text(text) => text.len(),
            Operand::Blob(id) => call.blobs.length(id),
        };
        loop {
            self.store.make_room(more, call.blobs)?;
            let Some(place) = self.store.touch(key, call.now, call.blobs) else {
                return self.put(key, value, Expiry::Set(NEVER), call).map(|()| more);
            };
            if self.length(place, call.blobs) + more > LONGEST_VALUE {
                return Err(Failure::ValueTooLong);
            }
            match self.append_at(place, value, call.blobs) {
                Ok(()) => return Ok(self.length(place, call.blobs)),
                Err(_) => self.store.evict(call.blobs)?,
            }
        }
    }

    fn append_at(
        &mut self,
        place: Place,
        value: Operand<'_>,
        blobs: &mut Blobs,
    ) -> Result<(), Failure> {
        let Some(entry) = self.store.entry_mut(place) else { return Ok(()) };
        match (entry.value(), value) {
            (Value::Inline(before), Operand::Text(text))
                if is_inline(entry.key().len(), before.len() + text.len()) =>
            {
                entry.append_inline(text)
            }
            (Value::Inline(before), more) => {
                let id = blobs.of(before)?;
                let appended = append_to(id, more, blobs).and_then(|()| entry.set_blob(id));
                appended.inspect_err(|_| blobs.release(id))
            }
            (Value::Blob(id), more) => append_to(id, more, blobs),
        }
    }

    /// How long the value of a key is.
    pub(crate) fn length(&self, place: Place, blobs: &Blobs) -> usize {
        match self.store.entry(place).map(Entry::value) {
            Some(Value::Inline(value)) => value.len(),
            Some(Value::Blob(id)) => blobs.length(id),
            None => 0,
        }
    }
}

fn append_to(id: BlobId, value: Operand<'_>, blobs: &mut Blobs) -> Result<(), Failure> {
    match value {
        Operand::Text(text) => blobs.append(id, text, 0),
        Operand::Blob(from) => blobs.append_blob(id, from),
    }
}
