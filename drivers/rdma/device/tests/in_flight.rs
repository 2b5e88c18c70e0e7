//! Posted memory as the engine sees it, against a model: it is reached by the names it was given,
//! within its bounds and until it has been returned, and by no other.

use proptest::prelude::*;
use reflex_memory::Exposed;
use reflex_rdma_device::{InFlight, Lookup, Named, PairMemory, Regions, Registration, Sge};
use reflex_rdma_engine::{Access, Atomic, Domain, Gone, Memory, Place, Segment};
use reflex_testkit::pool;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

struct Table(RefCell<Regions>);

impl Lookup for Table {
    fn regions<R>(&self, work: impl FnOnce(&mut Regions) -> R) -> R {
        work(&mut self.0.borrow_mut())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Keep { receive: bool, lengths: (usize, usize) },
    Finish { receive: bool, number: u64 },
    Write { which: usize, offset: u64, length: usize },
    Read { which: usize, offset: u64, length: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let offset = prop_oneof![0_u64..70, Just(u64::MAX), Just(u64::MAX - 8)];
    let place = (0_usize..30, offset, 0_usize..70);
    prop_oneof![
        2 => (any::<bool>(), (0_usize..64, 0_usize..64))
            .prop_map(|(receive, lengths)| Step::Keep { receive, lengths }),
        1 => (any::<bool>(), 0_u64..6).prop_map(|(receive, number)| Step::Finish { receive, number }),
        2 => place.clone().prop_map(|(which, offset, length)| Step::Write { which, offset, length }),
        2 => place.prop_map(|(which, offset, length)| Step::Read { which, offset, length }),
    ]
}

const ROOM: u32 = 4;

proptest! {
    #[test]
    fn posted_memory_agrees_with_a_model(steps in prop::collection::vec(step(), 1..60)) {
        let pool = pool(1 << 16);
        let free = pool.available();
        let regions = Table(RefCell::new(Regions::new(1)));
        let sends = RefCell::new(InFlight::new(ROOM, false));
        let receives = RefCell::new(InFlight::new(ROOM, true));
        // The segments that were ever named: the newest of a name is the one that counts.
        let mut named: Vec<Segment> = Vec::new();
        let mut bytes: HashMap<u64, Vec<u8>> = HashMap::new();
        let mut kept: HashMap<(bool, u64), Vec<u64>> = HashMap::new();
        let mut tag = 0_u64;
        for step in steps {
            match step {
                Step::Keep { receive, lengths } => {
                    let sge = |length: usize| match length {
                        0 => Sge::None,
                        _ => Sge::Bytes(pool.bytes(length).unwrap(), length as u32),
                    };
                    let sges = [sge(lengths.0), sge(lengths.1)];
                    let in_flight = if receive { &receives } else { &sends };
                    tag += 1;
                    let result = in_flight.borrow_mut().keep(tag, sges);
                    let count = kept.keys().filter(|(it, _)| *it == receive).count();
                    match result {
                        Err((back, sges)) => {
                            prop_assert_eq!((count, back), (ROOM as usize, tag));
                            prop_assert_eq!(sges[0].length(), lengths.0);
                        }
                        Ok((number, segments, segment_count)) => {
                            prop_assert!(count < ROOM as usize);
                            let all = [lengths.0, lengths.1].into_iter().filter(|it| *it != 0);
                            let all: Vec<usize> = all.collect();
                            prop_assert_eq!(segment_count, all.len());
                            let segments = &segments[..segment_count];
                            for (segment, length) in segments.iter().zip(all) {
                                prop_assert_eq!(segment.length as usize, length);
                                bytes.insert(segment.region.0, vec![0; length]);
                                named.push(*segment);
                            }
                            let names = segments.iter().map(|it| it.region.0).collect();
                            prop_assert!(kept.insert((receive, number), names).is_none());
                        }
                    }
                }
                Step::Finish { receive, number } => {
                    let in_flight = if receive { &receives } else { &sends };
                    let finished = in_flight.borrow_mut().finish(number);
                    let names = kept.remove(&(receive, number));
                    prop_assert_eq!(finished.is_some(), names.is_some());
                    for name in names.into_iter().flatten() {
                        let content = bytes.remove(&name).unwrap();
                        let (_, sges) = finished.as_ref().unwrap();
                        let found = sges.iter().any(|sge| match sge {
                            Sge::Bytes(bytes, _) => **bytes == content[..],
                            _ => false,
                        });
                        prop_assert!(found, "what was written comes back");
                    }
                }
                Step::Write { which, offset, length } => {
                    let Some(segment) = named.get(which) else { continue };
                    let place = Place { region: segment.region, offset };
                    let mut memory =
                        PairMemory { regions: &regions, sends: &sends, receives: &receives };
                    let content = vec![which as u8 + 1; length];
                    let written = memory.write(place, &content);
                    let model = bytes.get_mut(&segment.region.0).and_then(|model| {
                        let start = usize::try_from(offset).ok()?;
                        model.get_mut(start..start.checked_add(length)?)
                    });
                    prop_assert_eq!(written.is_ok(), model.is_some());
                    model.into_iter().for_each(|model| model.copy_from_slice(&content));
                }
                Step::Read { which, offset, length } => {
                    let Some(segment) = named.get(which) else { continue };
                    let place = Place { region: segment.region, offset };
                    let memory =
                        PairMemory { regions: &regions, sends: &sends, receives: &receives };
                    let mut into = vec![0xee; length];
                    let read = memory.read(place, &mut into);
                    let model = bytes.get(&segment.region.0).and_then(|model| {
                        let start = usize::try_from(offset).ok()?;
                        model.get(start..start.checked_add(length)?)
                    });
                    match model {
                        Some(model) => prop_assert_eq!(&into[..], model),
                        None => prop_assert_eq!(read, Err(Gone)),
                    }
                }
            }
        }
        drop((sends, receives));
        prop_assert_eq!(pool.available(), free, "the memory has come back");
    }
}

#[test]
fn registered_memory_is_reached_while_it_is_registered() {
    let pool = pool(1 << 12);
    let regions = Table(RefCell::new(Regions::new(2)));
    let sends = RefCell::new(InFlight::<()>::new(1, false));
    let receives = RefCell::new(InFlight::<()>::new(1, true));
    let registration = Registration {
        domain: Domain(3),
        access: Access::REMOTE_ATOMIC,
        memory: Arc::new(Exposed::new(pool.bytes(24).unwrap())),
        address: None,
    };
    let Named { region, key, address } =
        regions.regions(|it| it.register(registration, 5)).unwrap();
    let mut memory = PairMemory { regions: &regions, sends: &sends, receives: &receives };
    let place = |offset| Place { region, offset };
    assert_eq!(memory.write(place(3), b"over words"), Ok(()));
    let mut found = [0; 10];
    assert_eq!(memory.read(place(3), &mut found), Ok(()));
    assert_eq!(&found, b"over words");
    assert_eq!(memory.write(place(15), &[0; 10]), Err(Gone));
    assert_eq!(memory.read(place(u64::MAX), &mut found), Err(Gone));
    assert_eq!(memory.update(place(16), Atomic::FetchAdd { add: 7 }), Ok(0));
    assert_eq!(memory.update(place(16), Atomic::CompareSwap { compare: 7, swap: 9 }), Ok(7));
    assert_eq!(memory.update(place(16), Atomic::CompareSwap { compare: 7, swap: 1 }), Ok(9));
    assert_eq!(memory.update(place(17), Atomic::FetchAdd { add: 1 }), Err(Gone));
    // A key that was taken back is no key; this side's own work still reaches the memory.
    let find = |memory: &PairMemory<'_, _, _, _>| {
        memory.find(Domain(3), key, address, 8, Access::REMOTE_ATOMIC)
    };
    assert_eq!(find(&memory), Some(place(0)));
    assert_eq!(memory.invalidate(Domain(4), key), Err(Gone));
    assert_eq!(memory.invalidate(Domain(3), key), Ok(()));
    assert_eq!(find(&memory), None);
    assert_eq!(memory.read(place(0), &mut found), Ok(()));
    let _registration = regions.regions(|it| it.deregister(region));
    assert_eq!(memory.read(place(0), &mut found), Err(Gone));
    assert_eq!(memory.update(place(16), Atomic::FetchAdd { add: 1 }), Err(Gone));
}
