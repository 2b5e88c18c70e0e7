//! Names near the end of a place's generations.

use super::*;
use proptest::prelude::*;
use std::boxed::Box;
use std::collections::HashSet;
use std::vec::Vec;

/// A table of one chunk, with places that have been given back `left` times less than they can be.
fn worn(left: u32) -> Table<u32> {
    let mut table = Table::new();
    table.reserve(CHUNK).unwrap();
    let mut chunk = Chunk::new();
    for record in &mut chunk.0 {
        record.generation = 0_u32.wrapping_sub(2 * left);
    }
    assert!(table.supply(Box::leak(Box::new(chunk))).is_none());
    table
}

#[test]
fn a_place_without_generations_left_is_retired() {
    let mut table = worn(2);
    let mut names = HashSet::new();
    for _ in 0..2 * CHUNK {
        let name = table.take(Record::FREE).unwrap();
        assert_eq!(name.generation % 2, 1, "odd, so never 0");
        assert!(names.insert(name), "{name:?} has been somebody's before");
        table.end_running(name.index);
        assert_eq!(table.name(name.index), name, "it has its name until its place is given back");
        table.free(name.index);
    }
    assert_eq!((table.take(Record::FREE), table.live()), (Err(Error::TableFull), 0));
    for name in names {
        assert_eq!(table.live_at(name).err(), Some(Error::Stale));
    }
    // Nor does a name that was made up reach a place that is retired.
    for (index, generation) in [(0, 0), (0, 1), (7, u32::MAX), (7, u32::MAX - 1)] {
        assert_eq!(table.live_at(EventId { index, generation }).err(), Some(Error::Stale));
    }
}

proptest! {
    /// Registrations come and go in any order until no place is left; no name is given out twice,
    /// and none reaches another's place.
    #[test]
    fn names_are_never_given_out_twice(
        left in 1_u32..4,
        steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..3_000),
    ) {
        let mut table = worn(left);
        let (mut live, mut ended) = (Vec::<EventId>::new(), HashSet::new());
        for (takes, which) in steps {
            if takes {
                match table.take(Record::FREE) {
                    Ok(name) => {
                        prop_assert!(!ended.contains(&name) && !live.contains(&name));
                        live.push(name);
                    }
                    Err(error) => {
                        prop_assert_eq!(error, Error::TableFull);
                        let last = |name: &&EventId| name.generation == u32::MAX;
                        let used_up = ended.iter().filter(last).count();
                        prop_assert_eq!(live.len() + used_up, CHUNK);
                    }
                }
            } else if !live.is_empty() {
                let name = live.swap_remove(which.index(live.len()));
                prop_assert!(table.live_at(name).is_ok());
                table.end(name.index);
                prop_assert!(table.live_at(name).is_err());
                ended.insert(name);
            }
            prop_assert_eq!(table.live() as usize, live.len());
        }
        for name in ended {
            prop_assert_eq!(table.live_at(name).err(), Some(Error::Stale));
        }
    }
}

/// The names of two cores' tables are apart from the first to the last of a place.
#[test]
fn a_name_says_its_core_and_reaches_no_other() {
    let of_core = |core: u32, taken: u32| {
        let mut table = Table::<u32>::new();
        table.reserve(CHUNK).unwrap();
        let mut chunk = Chunk::new();
        chunk.0.fill_with(|| Record::free_on(core));
        chunk.0[0].generation += 2 * taken;
        assert!(table.supply(Box::leak(Box::new(chunk))).is_none());
        table
    };
    const LIVES: u32 = 1 << 25;
    for taken in [0, LIVES - 1] {
        let mut tables = [0, 1, crate::MOST_CORES - 1].map(|core| (core, of_core(core, taken)));
        let names = tables.each_mut().map(|(_, table)| table.take(Record::FREE).unwrap());
        for (core, table) in &mut tables {
            for name in names {
                assert_eq!(table.live_at(name).is_ok(), name.core() == *core, "{name:?} on {core}");
            }
        }
        for ((_, table), name) in tables.iter_mut().zip(names) {
            table.end(name.index);
            let next = table.take(Record::FREE).unwrap();
            let is_last = taken == LIVES - 1;
            assert_eq!(next.index != name.index, is_last, "a place without names left is retired");
            assert_eq!(next.core(), name.core());
        }
    }
}
