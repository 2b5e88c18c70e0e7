//! The table of regions against a list, by random programs.

use proptest::prelude::*;
use reflex_memory::{Exposed, Pool};
use reflex_rdma_device::{Named, Regions, RegionsFull, Registration};
use reflex_rdma_engine::{Access, Domain, Place, Region};
use reflex_rdma_wire::RKey;
use reflex_testkit::pool;
use std::sync::Arc;

const PLACES: u16 = 6;

#[derive(Clone, Debug)]
enum Step {
    /// Under an address of its own, or that of another.
    Register {
        domain: u32,
        length: usize,
        access: Access,
        random: u32,
        beside: Option<usize>,
    },
    Deregister(usize),
    Invalidate {
        which: usize,
        domain: u32,
    },
    Find {
        which: usize,
        domain: u32,
        key: Key,
        offset: i64,
        length: u32,
        access: Access,
    },
    At(u16),
}

/// Which key a peer gives.
#[derive(Clone, Copy, Debug)]
enum Key {
    Own,
    Other(usize),
    Any(u32),
}

#[derive(Clone)]
struct Model {
    domain: Domain,
    length: u64,
    access: Access,
    name: Region,
    key: RKey,
    address: u64,
    valid: bool,
    live: bool,
}

fn access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![
        Access::NONE,
        Access::LOCAL_WRITE,
        Access::REMOTE_READ,
        Access::REMOTE_WRITE | Access::LOCAL_WRITE,
        Access::REMOTE_READ | Access::REMOTE_WRITE | Access::REMOTE_ATOMIC,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let key = prop_oneof![
        4 => Just(Key::Own),
        1 => (0_usize..40).prop_map(Key::Other),
        1 => any::<u32>().prop_map(Key::Any),
    ];
    let beside = prop::option::weighted(0.3, 0_usize..40);
    let register = (0_u32..2, 1_usize..300, access(), 0_u32..4, beside);
    let find = (0_usize..40, 0_u32..2, key, -4_i64..304, 0_u32..310, access());
    prop_oneof![
        2 => register.prop_map(|(domain, length, access, random, beside)| {
            Step::Register { domain, length, access, random, beside }
        }),
        1 => (0_usize..40).prop_map(Step::Deregister),
        1 => (0_usize..40, 0_u32..2).prop_map(|(which, domain)| Step::Invalidate { which, domain }),
        3 => find.prop_map(|(which, domain, key, offset, length, access)| {
            Step::Find { which, domain, key, offset, length, access }
        }),
        1 => (0..PLACES + 1).prop_map(Step::At),
    ]
}

struct Bench {
    pool: &'static Pool,
    regions: Regions,
    models: Vec<Model>,
}

impl Bench {
    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        let live = self.models.iter().filter(|it| it.live).count();
        match step {
            Step::Register { domain, length, access, random, beside } => {
                let memory = Arc::new(Exposed::new(self.pool.bytes(length).unwrap()));
                let domain = Domain(domain.into());
                let beside = beside.and_then(|which| self.models.get(which));
                let address = beside.map(|it| it.address);
                let registration = Registration { domain, access, memory, address };
                match self.regions.register(registration, random) {
                    Ok(Named { region: name, key, address }) => {
                        prop_assert!(self.models.iter().all(|it| it.name != name), "a name, again");
                        let (length, valid, live) = (length as u64, true, true);
                        let model =
                            Model { domain, length, access, name, key, address, valid, live };
                        self.models.push(model);
                    }
                    Err(RegionsFull) => prop_assert_eq!(live, usize::from(PLACES)),
                }
            }
            Step::Deregister(which) => {
                let Some(model) = self.models.get_mut(which) else { return Ok(()) };
                let taken = self.regions.deregister(model.name);
                prop_assert_eq!(taken.is_some(), model.live);
                model.live = false;
            }
            Step::Invalidate { which, domain } => {
                let Some(model) = self.models.get(which) else { return Ok(()) };
                let (key, domain) = (model.key, Domain(domain.into()));
                let owner = self
                    .models
                    .iter_mut()
                    .find(|it| it.live && it.valid && it.key == key && it.domain == domain);
                let done = self.regions.invalidate(domain, key);
                prop_assert_eq!(done.is_ok(), owner.is_some());
                owner.into_iter().for_each(|owner| owner.valid = false);
            }
            Step::Find { which, domain, key, offset, length, access } => {
                let Some(model) = self.models.get(which) else { return Ok(()) };
                let key = match key {
                    Key::Own => model.key,
                    Key::Other(other) => self.models.get(other).map_or(RKey(0), |it| it.key),
                    Key::Any(key) => RKey(key),
                };
                let address = model.address.wrapping_add_signed(offset);
                let domain = Domain(domain.into());
                // By the book: the region with the key, whether the bytes are in it, whether it
                // permits them.
                let expected = self.models.iter().find_map(|it| {
                    let base = it.address;
                    let inside = address >= base && address - base + u64::from(length) <= it.length;
                    let permitted = it.domain == domain && it.access.contains(access);
                    let found = it.live && it.valid && it.key == key && inside && permitted;
                    found.then(|| Place { region: it.name, offset: address - base })
                });
                let found = self.regions.find(domain, key, address, length, access);
                prop_assert_eq!(found, expected);
            }
            Step::At(place) => {
                let found = self.regions.at(place);
                if let Some((name, domain)) = found {
                    let known = |it: &Model| it.live && it.name == name && it.domain == domain;
                    prop_assert!(self.models.iter().any(known));
                }
            }
        }
        for model in &self.models {
            prop_assert_eq!(self.regions.memory(model.name).is_some(), model.live);
            let permits = self.regions.permits(model.name, model.domain, model.access);
            prop_assert_eq!(permits, model.live);
        }
        let live = self.models.iter().filter(|it| it.live).count();
        prop_assert_eq!(self.regions.count() as usize, live);
        let places = 0..self.regions.places();
        prop_assert_eq!(places.filter(|place| self.regions.at(*place).is_some()).count(), live);
        Ok(())
    }
}

proptest! {
    #[test]
    fn agrees_with_a_list(steps in prop::collection::vec(step(), 1..80)) {
        let pool = pool(1 << 16);
        let free = pool.available();
        let mut bench = Bench { pool, regions: Regions::new(PLACES), models: Vec::new() };
        for step in steps {
            bench.run(step)?;
        }
        drop(bench);
        prop_assert_eq!(pool.available(), free, "the memory has come back");
    }
}

#[test]
fn the_edges_of_a_table() {
    let pool = pool(1 << 12);
    let registration = || Registration {
        domain: Domain(1),
        access: Access::REMOTE_READ,
        memory: Arc::new(Exposed::new(pool.bytes(8).unwrap())),
        address: None,
    };
    let mut none = Regions::new(0);
    assert_eq!(none.register(registration(), 1), Err(RegionsFull));
    let mut one = Regions::new(1);
    let Named { region: first, key, .. } = one.register(registration(), 7).unwrap();
    assert_eq!(one.register(registration(), 1), Err(RegionsFull));
    assert!(one.deregister(first).is_some());
    // The same place and the same random number: the same key, but not the same region.
    let Named { region: second, key: same, .. } = one.register(registration(), 7).unwrap();
    assert_ne!(first, second);
    assert_eq!(key, same);
    assert!(one.memory(first).is_none());
    assert!(one.deregister(first).is_none());
    assert_eq!(Regions::new(u16::MAX).places(), Regions::MOST);
}
