//! The supervisor: the kernel's own context, in which what failed contexts leave behind is cleaned
//! up, and restarts are begun.
//!
//! It works at the priority of the handler that failed, some bounded [steps](crate::failure::cleanup) a run.
//! What handlers have captured is application's code when it is dropped: when that fails too, the
//! supervisor itself is given up. It has no state, and goes on behind it.
#![deny(clippy::wildcard_enum_match_arm)]

use crate::context::{create, guard, registry};
use crate::cpu;
use crate::cpu::options::{ContextOptions, OnFailure, Origin};
use crate::cpu::set::ContextSet;
use crate::dispatch::section::section;
use crate::event::table;
use crate::failure::quarantine::SUPERVISOR_STACK;
use crate::failure::queue::{LEAST, activate, own, print};
use crate::failure::{construct, quarantine, report};
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use reflex_event::{Error, Registration};

/// Steps of cleaning up before others of the same priority have their turn.
const STEPS: u32 = 32;

/// How long what a handler has captured may take to be dropped.
const PATIENCE: Duration = Duration::from_millis(100);

/// Makes the supervisor, unless there is one. A cold path.
pub(crate) fn ensure() -> Result<(), Error> {
    if cpu::this().supervisor_made.swap(true, Relaxed) {
        return Ok(());
    }
    let made = make();
    if made.is_err() {
        cpu::this().supervisor_made.store(false, Relaxed);
    }
    made
}

fn make() -> Result<(), Error> {
    if !quarantine::ready_filter_stacks() {
        return Err(Error::OutOfMemory);
    }
    let mut options = ContextOptions { memory: 4 << 10, ..ContextOptions::new("supervisor") };
    options.stack = SUPERVISOR_STACK;
    options.origin = Origin::System;
    options.on_failure = OnFailure::Ignore;
    options.policy.budget = Some(PATIENCE);
    let context = create::add(options, ())?;
    let registration = Registration { priority: LEAST, ..Registration::default() };
    let work = table::bind(context, registration, |(), _| work())?;
    let print = table::bind(context, registration, |(), _| {
        if report::print() {
            print();
        }
    })?;
    section(|cs| {
        cpu::this().supervisor.with(cs, |supervisor| {
            supervisor.context = Some(context);
            (supervisor.work, supervisor.print) = (Some(work), Some(print));
        });
        // Somebody may have failed meanwhile.
        activate(cs, |supervisor| supervisor.work);
    });
    Ok(())
}

/// Says what has become of the supervisor itself, which goes on.
fn tell_own_failure() {
    let own = section(|cs| registry::supervision(cs, own(cs)?.id()).ok().flatten());
    if let Some(own) = own {
        log::error!("{}", section(|cs| own.failure_report(cs)));
        own.tells.set(false);
        // Not where a panic would be the supervisor's.
        guard::guarded(|| quarantine::add(own.home.lost.take()));
    }
}

/// The supervisor's work: some steps of cleaning up, and restarts.
fn work() {
    if cpu::this().supervisor_failed.swap(false, Relaxed) {
        tell_own_failure();
    }
    for _ in 0..STEPS {
        let next = section(|cs| {
            cpu::this().supervisor.with(cs, |supervisor| {
                let first = |set: ContextSet| set.indices().next();
                if let Some(index) = first(supervisor.dying) {
                    return Some((index, false));
                }
                let index = first(supervisor.due)?;
                supervisor.due.remove(index);
                Some((index, true))
            })
        });
        let Some((index, due)) = next else { return };
        let supervision = section(|cs| registry::supervision(cs, registry::name(cs, index)?));
        let Ok(Some(supervision)) = supervision else { continue };
        if due {
            guard::guarded(|| construct::begin(supervision));
        } else {
            supervision.step();
        }
    }
    section(|cs| activate(cs, |supervisor| supervisor.work));
}
