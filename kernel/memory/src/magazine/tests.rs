//! Random programs of several flows that come in between each other's steps, against a bitmap.

use super::*;
use crate::Link;
use proptest::prelude::*;
use std::vec::Vec;
use std::{boxed::Box, vec};

fn blocks(granules: usize) -> Blocks {
    let links = vec![Link::default(); Table::links_for(granules)];
    let states = vec![0xFF; granules];
    Blocks::new(Table::new(Box::leak(links.into()), Box::leak(states.into())).unwrap())
}

/// The order of the largest aligned run of free granules.
fn largest_run(free: &[bool]) -> Option<u32> {
    (0..20).rev().find(|&order| {
        let size = 1_usize << order;
        size <= free.len() && free.chunks_exact(size).any(|run| run.iter().all(|&free| free))
    })
}

/// What a flow of control is in the middle of.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Nothing,
    Take(u32, Kind),
    Give(u32, u32, Kind),
    Largest,
}

#[derive(Clone, Debug)]
enum Step {
    Take(u32, Kind),
    Give(usize),
    Turn(usize),
    Largest,
    /// A flow that is in the middle of something is killed there.
    Killed,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let kind = || prop_oneof![Just(Kind::Lent), Just(Kind::Own)];
    let step = prop_oneof![
        20 => (0_u32..3, kind()).prop_map(|(order, kind)| Step::Take(order, kind)),
        6 => (0_u32..9, kind()).prop_map(|(order, kind)| Step::Take(order, kind)),
        20 => any::<usize>().prop_map(Step::Give),
        2 => any::<usize>().prop_map(Step::Turn),
        1 => Just(Step::Largest),
        1 => Just(Step::Killed),
    ];
    prop::collection::vec((0_usize..3, step), 0..600)
}

struct Model {
    blocks: Blocks,
    free: Vec<bool>,
    live: Vec<(u32, u32, Kind)>,
}

impl Model {
    /// Takes a block out of what is free, and checks that it was.
    fn taken(&mut self, block: u32, order: u32, kind: Kind) {
        assert_eq!(block % (1 << order), 0);
        for granule in &mut self.free[block as usize..][..1 << order] {
            assert!(core::mem::replace(granule, false));
        }
        self.live.push((block, order, kind));
    }

    fn given(&mut self, block: u32, order: u32) {
        self.free[block as usize..][..1 << order].fill(true);
    }

    /// Goes on with what a flow does, by one step.
    fn go_on(&mut self, doing: Doing) -> Doing {
        match doing {
            Doing::Nothing => return Doing::Nothing,
            Doing::Take(order, kind) => {
                if let Some(block) = self.blocks.take_quick(order, kind) {
                    self.taken(block, order, kind);
                    return Doing::Nothing;
                }
                match self.blocks.take_step(order, kind) {
                    Poll::Pending => return doing,
                    Poll::Ready(Ok(block)) => self.taken(block, order, kind),
                    // Rightly, whatever magazines and hands hold.
                    Poll::Ready(Err(_)) => assert!(largest_run(&self.free) < Some(order)),
                }
            }
            Doing::Give(block, order, kind) => {
                let wrong = if kind == Kind::Own { Kind::Lent } else { Kind::Own };
                assert!(!self.blocks.give_quick(block, order, wrong));
                assert!(!self.blocks.give_quick(block, order + 1, kind));
                if !self.blocks.give_quick(block, order, kind) {
                    match self.blocks.give_step(block, kind) {
                        Poll::Pending => return doing,
                        Poll::Ready(given) => assert_eq!(given, Ok(order)),
                    }
                }
                self.given(block, order);
                assert_eq!(self.blocks.order_of(block, kind), None);
            }
            Doing::Largest => match self.blocks.largest_step() {
                Poll::Pending => return doing,
                Poll::Ready(largest) => assert_eq!(largest, largest_run(&self.free)),
            },
        }
        Doing::Nothing
    }

    /// Every own block is found, and nothing else.
    fn audit(&self) {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(own) = self.blocks.find_own(from, 20) {
            from = match own {
                Ok(block) => {
                    found.push(block);
                    block + 1
                }
                Err(next) => next,
            };
        }
        let own = self.live.iter().filter(|(.., kind)| *kind == Kind::Own);
        let mut own: Vec<_> = own.map(|(block, ..)| *block).collect();
        own.sort_unstable();
        assert_eq!(found, own);
    }
}

proptest! {
    #[test]
    fn flows_between_each_others_steps_agree_with_a_bitmap(
        granules in 1_usize..1_000,
        steps in steps(),
    ) {
        let mut model =
            Model { blocks: blocks(granules), free: vec![true; granules], live: Vec::new() };
        let mut flows = [Doing::Nothing; 3];
        for (flow, step) in steps {
            if let Doing::Nothing = flows[flow] {
                flows[flow] = match step {
                    Step::Take(order, kind) => Doing::Take(order, kind),
                    Step::Give(place) if !model.live.is_empty() => {
                        let place = place % model.live.len();
                        let (block, order, kind) = model.live.swap_remove(place);
                        Doing::Give(block, order, kind)
                    }
                    Step::Turn(place) if !model.live.is_empty() => {
                        let place = place % model.live.len();
                        let (block, order, kind) = &mut model.live[place];
                        let into = if *kind == Kind::Own { Kind::Lent } else { Kind::Own };
                        prop_assert_eq!(model.blocks.change_kind(*block, *kind, into), Ok(*order));
                        prop_assert!(model.blocks.change_kind(*block, *kind, into).is_err());
                        *kind = into;
                        Doing::Nothing
                    }
                    Step::Largest => Doing::Largest,
                    _ => Doing::Nothing,
                };
            } else if let Step::Killed = step {
                if let Doing::Give(block, order, kind) = flows[flow] {
                    // It stays allocated.
                    model.live.push((block, order, kind));
                }
                flows[flow] = Doing::Nothing;
            }
            flows[flow] = model.go_on(flows[flow]);
        }
        for mut doing in flows {
            while !matches!(doing, Doing::Nothing) {
                doing = model.go_on(doing);
            }
        }
        model.audit();
        for (block, order, kind) in core::mem::take(&mut model.live) {
            let mut doing = Doing::Give(block, order, kind);
            while !matches!(doing, Doing::Nothing) {
                doing = model.go_on(doing);
            }
        }
        let mut doing = Doing::Largest;
        while !matches!(doing, Doing::Nothing) {
            doing = model.go_on(doing);
        }
        // All merged again.
        prop_assert_eq!(model.blocks.largest_step(), Poll::Ready(granules.checked_ilog2()));
    }
}

/// All is free, most of it in small blocks that are kept: it can be had in one.
#[test]
fn whole_pools_are_found_among_kept_blocks() {
    let mut blocks = blocks(64);
    let mut singles = Vec::new();
    for _ in 0..64 {
        singles.push(take(&mut blocks, 0).unwrap());
    }
    for block in singles {
        if !blocks.give_quick(block, 0, Kind::Lent) {
            while blocks.give_step(block, Kind::Lent).is_pending() {}
        }
    }
    assert_eq!(take(&mut blocks, 6), Ok(0));
    assert_eq!(take(&mut blocks, 0), Err(Error::Exhausted));
}

fn take(blocks: &mut Blocks, order: u32) -> Result<u32, Error> {
    loop {
        if let Poll::Ready(taken) = blocks.take_step(order, Kind::Lent) {
            return taken;
        }
    }
}
