//! Names near the end of a place's generations.

use super::*;
use crate::{Core, Registration};
use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;

/// A core with one context, held, that can be renewed `left` times.
fn worn(left: u64) -> (Core<u32>, ContextId) {
    let mut core = Core::<u32>::new(());
    core.reserve(1, 1).unwrap();
    let first = core.add_context((), Limits::NONE).unwrap();
    let name = ContextId::new(first.index, ContextId::LAST_GENERATION - left);
    core.contexts.at(first.index).name = name;
    core.suspend(name).unwrap();
    (core, name)
}

#[test]
fn a_context_without_names_left_is_renewed_no_more() {
    let (mut core, mut name) = worn(3);
    let mut ended = std::vec::Vec::new();
    for _ in 0..3 {
        let next = core.renew(name, Limits::NONE).unwrap();
        assert_eq!((next.index, next.generation()), (name.index, name.generation() + 1));
        ended.push(core::mem::replace(&mut name, next));
    }
    assert_eq!(name.generation(), ContextId::LAST_GENERATION);
    assert_eq!(core.renew(name, Limits::NONE), Err(Error::UsedUp));
    assert_eq!(core.context_at(name.index), Ok(name), "it is still the same context");
    ended.push(ContextId::new(name.index, 0));
    for ended in ended {
        let refused = core.register(ended, Registration::default(), 0);
        assert_eq!(refused, Err(Error::NoContext), "{ended:?}");
    }
}

fn hash(name: ContextId) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn a_generation_takes_part_in_every_comparison() {
    let names = [0, 1, 1 << 16, 1 << 32, 1 << 47, ContextId::LAST_GENERATION];
    for one in names {
        assert_eq!(ContextId::new(7, one).generation(), one);
        for other in names {
            let same = ContextId::new(7, one) == ContextId::new(7, other);
            assert_eq!(same, one == other, "{one} and {other}");
            let [hash, other_hash] = [one, other].map(|of| hash(ContextId::new(7, of)));
            assert_eq!(hash == other_hash, one == other, "{one} and {other}");
        }
    }
}

/// A name that was made up reaches no place that has no context: neither its own, nor the one that it
/// would be by the remainder.
#[test]
fn places_without_a_context_have_no_name() {
    let mut core = Core::<u32>::new(());
    core.reserve(1, MOST).unwrap();
    for count in 0..3 {
        for index in (0..=u16::MAX).filter(|index| *index >= count) {
            for generation in [0, 1, ContextId::LAST_GENERATION] {
                assert!(!core.exists(ContextId::new(index, generation)), "{index}.{generation}");
            }
        }
        let name = core.add_context((), Limits::NONE).unwrap();
        assert!(core.exists(name));
    }
}

#[test]
fn a_context_says_its_core_and_is_nobody_on_another() {
    let mut cores = [0, 1, crate::MOST_CORES - 1].map(|core| Core::<u32>::on(core, ()));
    let names = cores.each_mut().map(|core| {
        core.reserve(1, 2).unwrap();
        core.add_context((), Limits::NONE).unwrap()
    });
    for (core, own) in cores.iter_mut().zip(names) {
        for name in names {
            assert_eq!(core.exists(name), name == own);
            assert_eq!(name.core() == own.core(), name == own);
        }
        core.suspend(own).unwrap();
        let renewed = core.renew(own, Limits::NONE).unwrap();
        assert_eq!((renewed.core(), renewed.index), (own.core(), own.index));
        assert!(core.exists(renewed) && !core.exists(own));
    }
}
