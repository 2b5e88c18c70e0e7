//! The commands of a store, by name.

mod expiry;
mod keys;
mod numbers;
mod server;
mod strings;

use crate::blobs::Blobs;
use crate::command::{Call, name, name_of};
use crate::database::Database;
use crate::deadlines::Deadlines;
use crate::engine::Execute;
use crate::failure::Failure;

/// What becomes of a command.
type Done = Result<(), Failure>;
/// What a command does.
type Run<D> = fn(&mut Database<D>, &mut Call<'_, '_>) -> Done;

/// A command.
pub(crate) struct Spec<D> {
    name: u64,
    text: &'static str,
    /// Words, its name among them; so many at least if it is below zero.
    arity: i8,
    /// The first word that is a key, the last one (from the end if below zero), and the distance between them.
    keys: [i8; 3],
    run: Run<D>,
}

const fn spec<D>(text: &'static str, arity: i8, keys: [i8; 3], run: Run<D>) -> Spec<D> {
    Spec { name: name_of(text), text, arity, keys, run }
}

/// No word is a key; the first is; all are; every second is.
const NONE: [i8; 3] = [0, 0, 0];
const ONE: [i8; 3] = [1, 1, 1];
const ALL: [i8; 3] = [1, -1, 1];
const PAIRS: [i8; 3] = [1, -1, 2];

impl<D: Deadlines> Database<D> {
    /// All of them: those that are asked for most come first.
    pub(crate) const COMMANDS: &'static [Spec<D>] = &[
        spec("get", 2, ONE, strings::get),
        spec("set", -3, ONE, strings::set),
        spec("incr", 2, ONE, numbers::incr),
        spec("del", -2, ALL, keys::del),
        spec("mget", -2, ALL, strings::mget),
        spec("mset", -3, PAIRS, strings::mset),
        spec("exists", -2, ALL, keys::exists),
        spec("expire", 3, ONE, expiry::expire),
        spec("ttl", 2, ONE, expiry::ttl),
        spec("ping", -1, NONE, server::ping),
        spec("echo", 2, NONE, server::echo),
        spec("setex", 4, ONE, strings::setex),
        spec("psetex", 4, ONE, strings::psetex),
        spec("setnx", 3, ONE, strings::setnx),
        spec("getset", 3, ONE, strings::getset),
        spec("getdel", 2, ONE, strings::getdel),
        spec("append", 3, ONE, strings::append),
        spec("strlen", 2, ONE, strings::strlen),
        spec("decr", 2, ONE, numbers::decr),
        spec("incrby", 3, ONE, numbers::incrby),
        spec("decrby", 3, ONE, numbers::decrby),
        spec("unlink", -2, ALL, keys::del),
        spec("touch", -2, ALL, keys::touch),
        spec("type", 2, ONE, keys::kind),
        spec("pexpire", 3, ONE, expiry::pexpire),
        spec("expireat", 3, ONE, expiry::expireat),
        spec("pttl", 2, ONE, expiry::pttl),
        spec("persist", 2, ONE, expiry::persist),
        spec("keys", 2, NONE, keys::keys),
        spec("scan", -2, NONE, keys::scan),
        spec("dbsize", 1, NONE, keys::dbsize),
        spec("flushall", -1, NONE, keys::flush),
        spec("flushdb", -1, NONE, keys::flush),
        spec("info", -1, NONE, server::info),
        spec("command", -1, NONE, server::command),
        spec("client", -2, NONE, server::client),
        spec("config", -2, NONE, server::config),
        spec("select", 2, NONE, server::select),
        spec("hello", -1, NONE, server::hello),
        spec("quit", -1, NONE, server::quit),
    ];
}

impl<D: Deadlines> Execute for Database<D> {
    #[inline]
    fn execute(&mut self, call: &mut Call<'_, '_>) -> Done {
        let name = name(call.command.word(0)?);
        let spec = Self::COMMANDS.iter().find(|spec| spec.name == name);
        let spec = spec.ok_or(Failure::UnknownCommand)?;
        let words = call.command.len();
        let least = usize::from(spec.arity.unsigned_abs());
        if words < least || (spec.arity > 0 && words > least) {
            return Err(Failure::Arguments(spec.text));
        }
        (spec.run)(self, call)
    }

    fn make_room(&mut self, bytes: usize, blobs: &mut Blobs) -> Done {
        self.store.make_room(bytes, blobs)
    }
}
