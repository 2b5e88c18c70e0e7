//! How much of a pool is lost to rounding and to gaps: random lives, and the bounds of a buddy
//! allocator. `cargo test -p reflex-memory fragmentation -- --nocapture` prints figures;
//! `REFLEX_SEED=N` repeats them.

use crate::common;
use common::pool;
use reflex_memory::{Content, Error, Lent, Pool};

const GRANULE: usize = 32;
/// Blocks of up to 2^6 granules are asked for.
const LARGEST: u32 = 6;
/// What magazines hold at most: 16 blocks of 1, 2, 4 and 8 granules.
const KEPT: usize = 16 * (1 + 2 + 4 + 8);

/// xorshift64*.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.unwrap().as_nanos() as u64 | 1
        });
        println!("REFLEX_SEED={seed}");
        Self(seed.max(1))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

/// A pool of `granules` granules.
fn of(granules: usize) -> &'static Pool {
    let table = granules.div_ceil(2) * 8 + granules;
    let pool = pool(granules * GRANULE + table, 0, GRANULE, Content::Objects).unwrap();
    assert_eq!(pool.stats().capacity, granules * GRANULE);
    pool
}

/// A block takes less than twice what was asked for, or one granule.
#[test]
fn rounding_loses_less_than_half() {
    let pool = of(4_096);
    for bytes in 1..=GRANULE << LARGEST {
        let _held = pool.bytes(bytes).unwrap();
        let taken = pool.stats().allocated;
        assert!(taken >= bytes && taken < (2 * bytes).max(GRANULE + 1), "{bytes}: {taken}");
    }
}

/// A mixed life at a given load; what it loses.
#[test]
fn a_mixed_life_loses_little() {
    let mut random = Random::new();
    println!("{:>5} {:>9} {:>9} {:>9} {:>9}", "load", "rounding", "gaps", "gaps most", "refused");
    for load in [50, 75, 90] {
        let pool = of(8_192);
        let capacity = 8_192 * GRANULE;
        let mut held: Vec<Lent<[u8]>> = Vec::new();
        let (mut asked, mut refused, mut tries) = (0, 0, 0);
        let (mut rounding, mut gaps, mut most, mut looks) = (0.0, 0.0, 0.0_f64, 0);
        for round in 0..30_000 {
            // Sizes are spread evenly over their orders, lives exponentially.
            while asked * 100 < capacity * load * 3 / 4 && pool.available() > capacity / 50 {
                let order = random.below(LARGEST as usize + 1);
                let bytes = (GRANULE << order) - random.below(GRANULE << order >> 1);
                tries += 1;
                match pool.bytes(bytes) {
                    Ok(new) => {
                        asked += bytes;
                        held.push(new);
                    }
                    Err(_) => {
                        refused += 1;
                        break;
                    }
                }
            }
            let gone = held.swap_remove(random.below(held.len()));
            asked -= gone.len();
            drop(gone);
            if round > 10_000 && round % 500 == 0 {
                let stats = pool.stats();
                assert!(stats.allocated < 2 * asked + held.len() * GRANULE);
                rounding += 1.0 - asked as f64 / stats.allocated as f64;
                // What is free but in blocks too small for the largest request.
                let room = fits(pool) as f64 * (GRANULE << LARGEST) as f64;
                let lost = 1.0 - room / (capacity - stats.allocated) as f64;
                gaps += lost;
                most = most.max(lost);
                looks += 1;
            }
        }
        let percent = |sum: f64| sum / f64::from(looks) * 100.0;
        println!(
            "{load:>4}% {:>8.1}% {:>8.1}% {:>8.1}% {:>8.3}%",
            percent(rounding),
            percent(gaps),
            most * 100.0,
            f64::from(refused * 100) / f64::from(tries),
        );
        // Sizes spread evenly between half a block and a whole one fill three quarters.
        assert!((20.0..32.0).contains(&percent(rounding)));
        drop(held);
        assert_eq!(pool.stats().largest_free, capacity);
    }
}

/// How many blocks of the largest order the pool still has room for.
fn fits(pool: &'static Pool) -> usize {
    let blocks: Vec<_> = std::iter::from_fn(|| pool.bytes(GRANULE << LARGEST).ok()).collect();
    blocks.len()
}

/// A program that never holds more than `M` granules at once, in blocks of at most `2^k`, is never
/// refused by a pool of `(k + 1) (M + K) + 2^(k + 1)` granules, whatever the order of it all; `K`
/// is what magazines and the block being merged hold back, `240 + 2^k`.
///
/// Why: call an aligned run of `2^j` granules touched when some of it is allocated or held back.
/// A run of `2^(j + 1)` becomes touched in part only when no smaller block fits, that is, when both
/// halves of all such runs are touched. So those touched in part never cover more than the
/// touched runs of `2^j` once did, and `2^j`; those allocated as a whole never more than `M + K`.
/// Added up from `j = 0`, at most `(k + 1) (M + K) + 2^k` granules are in touched runs of `2^k`, and
/// beyond them there is a run of `2^k` to be had.
///
/// The program here does its worst: it fills up with one size, frees all but what keeps runs from
/// merging, and asks for the next size.
#[test]
fn the_worst_case_needs_no_more_than_the_bound() {
    let bound = (LARGEST as usize + 1) * (MOST + KEPT + (1 << LARGEST)) + (2 << LARGEST);
    let mut random = Random::new();
    for round in 0..20 {
        let pool = of(bound);
        adversary(pool, round > 0, &mut random).unwrap();
        assert_eq!(pool.stats().failures, 0);
    }
}

/// The same program does get stuck where there is half as much again as it ever holds: the bound
/// is about something.
#[test]
fn the_worst_case_is_one() {
    let mut random = Random::new();
    assert!(adversary(of(MOST + MOST / 2), false, &mut random).is_err());
}

/// Granules that the adversary holds at most.
const MOST: usize = 1_024;

fn adversary(pool: &'static Pool, mixed: bool, random: &mut Random) -> Result<(), Error> {
    let mut held: Vec<Lent<[u8]>> = Vec::new();
    for order in 0..=LARGEST {
        let mut live: usize = held.iter().map(|held| held.len() / GRANULE).sum();
        while live + (1 << order) <= MOST {
            let granules =
                1 << if mixed { random.below(order as usize + 1) } else { order as usize };
            held.push(pool.bytes(granules * GRANULE)?);
            live += granules;
        }
        // One block stays in each run of twice the size.
        let mut runs = std::collections::BTreeSet::new();
        let base = pool.region().start;
        held.retain(|held| runs.insert((held.as_ptr().addr() - base) / ((2 * GRANULE) << order)));
    }
    Ok(())
}
