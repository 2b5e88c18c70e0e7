//! Commands on the server and the connection.

use super::{Done, Spec};
use crate::command::{Call, Operand};
use crate::database::Database;
use crate::deadlines::Deadlines;
use crate::failure::Failure;
use crate::info::{self, Facts};
use crate::settings;

/// Answers with a value as it came.
fn repeat(at: usize, call: &mut Call<'_, '_>) -> Done {
    match call.command.operand(at) {
        Operand::Text(text) => call.reply.bulk(text),
        Operand::Blob(id) => call.reply.blob(id, call.blobs),
    }
    Ok(())
}

pub(super) fn ping<D>(_: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    match call.command.len() {
        1 => {
            call.reply.simple("PONG");
            Ok(())
        }
        2 => repeat(1, call),
        _ => Err(Failure::Arguments("ping")),
    }
}

pub(super) fn echo<D>(_: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    repeat(1, call)
}

pub(super) fn info<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let section = (call.command.len() > 1).then(|| call.command.word(1)).transpose()?;
    let store = &database.store;
    let uptime = call.now.saturating_sub(database.started) / 1_000;
    let facts = Facts { used: store.used(), capacity: store.capacity, uptime };
    let mut text = store.memory.string();
    let written = info::write(&mut text, &store.shared, facts, section);
    written.map_err(|_| Failure::ReplyTooLarge)?;
    call.reply.bulk(text.as_bytes());
    Ok(())
}

/// Describes a command as redis does: name, words, flags, and which of the words are keys.
fn describe<D>(spec: &Spec<D>, call: &mut Call<'_, '_>) {
    call.reply.array(6);
    call.reply.bulk(spec.text.as_bytes());
    call.reply.integer(spec.arity.into());
    call.reply.array(0);
    spec.keys.iter().for_each(|number| call.reply.integer((*number).into()));
}

pub(super) fn command<D: Deadlines>(_: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let (all, command) = (Database::<D>::COMMANDS, call.command);
    if command.len() == 1 {
        call.reply.array(all.len());
        all.iter().for_each(|spec| describe(spec, call));
    } else if command.is(1, "count") {
        call.reply.integer(all.len() as i64);
    } else if command.is(1, "info") {
        call.reply.array(command.len() - 2);
        for at in 2..command.len() {
            match all.iter().find(|spec| command.is(at, spec.text)) {
                Some(spec) => describe(spec, call),
                None => call.reply.raw(b"*-1\r\n"),
            }
        }
    } else if command.is(1, "docs") {
        // There are none: clients do without.
        call.reply.array(0);
    } else {
        return Err(Failure::Subcommand("command"));
    }
    Ok(())
}

/// What clients say of themselves is taken and forgotten.
pub(super) fn client<D>(_: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    let command = call.command;
    if ["setname", "setinfo", "no-evict", "no-touch"].iter().any(|name| command.is(1, name)) {
        call.reply.ok();
    } else if command.is(1, "getname") {
        call.reply.null();
    } else {
        return Err(Failure::Subcommand("client"));
    }
    Ok(())
}

/// Settings are set at the administrative port.
pub(super) fn config<D: Deadlines>(database: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    if call.command.is(1, "get") {
        settings::get(&database.store.shared.limits, call)
    } else if call.command.is(1, "set") {
        Err(Failure::Setting)
    } else {
        Err(Failure::Subcommand("config"))
    }
}

pub(super) fn select<D>(_: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    if call.command.integer(1)? != 0 {
        return Err(Failure::DatabaseNumber);
    }
    call.reply.ok();
    Ok(())
}

pub(super) fn hello<D>(_: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    if call.command.len() > 1 && !call.command.is(1, "2") {
        return Err(Failure::ProtocolVersion);
    }
    call.reply.array(6);
    call.reply.bulk(b"server");
    call.reply.bulk(b"keyval");
    call.reply.bulk(b"version");
    call.reply.bulk(env!("CARGO_PKG_VERSION").as_bytes());
    call.reply.bulk(b"proto");
    call.reply.integer(2);
    Ok(())
}

pub(super) fn quit<D>(_: &mut Database<D>, call: &mut Call<'_, '_>) -> Done {
    call.reply.ok();
    call.reply.close();
    Ok(())
}
