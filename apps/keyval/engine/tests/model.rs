//! Random commands, cut at random, against a model that is a map of the standard library.

use crate::common::{BEGIN, Server, command, seed, text, with_memory};
use keyval_engine::Policy;
use reflex_testkit::Random;
use std::collections::HashMap;

/// What there is to be known of a key.
#[derive(Clone)]
struct Known {
    value: Vec<u8>,
    deadline: Option<u64>,
}

#[derive(Default)]
struct Model {
    keys: HashMap<Vec<u8>, Known>,
    now: u64,
}

fn bulk(value: Option<&[u8]>) -> Vec<u8> {
    let Some(value) = value else { return b"$-1\r\n".to_vec() };
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

fn integer(number: i64) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

fn error(text: &str) -> Vec<u8> {
    format!("-ERR {text}\r\n").into_bytes()
}

impl Model {
    fn get(&mut self, key: &[u8]) -> Option<&mut Known> {
        let now = self.now;
        self.keys.retain(|_, known| known.deadline.is_none_or(|deadline| deadline > now));
        self.keys.get_mut(key)
    }

    fn value(&mut self, key: &[u8]) -> Option<&[u8]> {
        self.get(key).map(|known| &known.value[..])
    }

    fn set(&mut self, key: &[u8], value: &[u8], deadline: Option<u64>) {
        self.keys.insert(key.to_vec(), Known { value: value.to_vec(), deadline });
    }

    fn answer(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let (name, key) = (words[0], words.get(1).copied().unwrap_or_default());
        match name {
            b"GET" => bulk(self.value(key)),
            b"SET" => self.set_by_options(key, &words[2..]),
            b"DEL" | b"EXISTS" => {
                let there: Vec<_> =
                    words[1..].iter().filter(|key| self.get(key).is_some()).copied().collect();
                // DEL of the same key twice finds it once.
                let distinct: std::collections::BTreeSet<_> = there.iter().collect();
                if name == b"EXISTS" {
                    return integer(there.len() as i64);
                }
                distinct.iter().for_each(|key| drop(self.keys.remove(**key)));
                integer(distinct.len() as i64)
            }
            b"APPEND" => {
                self.get(key);
                let known = Known { value: Vec::new(), deadline: None };
                let known = self.keys.entry(key.to_vec()).or_insert(known);
                known.value.extend(words[2]);
                integer(known.value.len() as i64)
            }
            b"STRLEN" => integer(self.value(key).map_or(0, <[u8]>::len) as i64),
            b"INCRBY" => self.add(key, words[2]),
            b"PEXPIRE" => {
                let time: i64 = std::str::from_utf8(words[2]).unwrap().parse().unwrap();
                let deadline = self.now as i64 + time;
                let there = self.get(key).map(|known| known.deadline = Some(deadline as u64));
                self.get(key);
                integer(there.is_some().into())
            }
            b"PTTL" => {
                let now = self.now;
                integer(match self.get(key) {
                    None => -2,
                    Some(known) => known.deadline.map_or(-1, |deadline| (deadline - now) as i64),
                })
            }
            b"PERSIST" => {
                integer(self.get(key).and_then(|known| known.deadline.take()).is_some().into())
            }
            b"MGET" => {
                let mut answer = format!("*{}\r\n", words.len() - 1).into_bytes();
                words[1..].iter().for_each(|key| answer.extend(bulk(self.value(key))));
                answer
            }
            b"MSET" => {
                words[1..].chunks(2).for_each(|pair| self.set(pair[0], pair[1], None));
                b"+OK\r\n".to_vec()
            }
            b"DBSIZE" => {
                self.get(b"");
                integer(self.keys.len() as i64)
            }
            b"FLUSHALL" => {
                self.keys.clear();
                b"+OK\r\n".to_vec()
            }
            other => panic!("{other:?}"),
        }
    }

    fn add(&mut self, key: &[u8], more: &[u8]) -> Vec<u8> {
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
        let (before, more) = (self.value(key).map(number), number(more).unwrap());
        let Some(before) = before.unwrap_or(Some(0)) else {
            return error("value is not an integer or out of range");
        };
        let Some(sum) = before.checked_add(more) else {
            return error("increment or decrement would overflow");
        };
        let deadline = self.get(key).and_then(|known| known.deadline);
        self.set(key, sum.to_string().as_bytes(), deadline);
        integer(sum)
    }

    fn set_by_options(&mut self, key: &[u8], words: &[&[u8]]) -> Vec<u8> {
        let former = self.get(key).cloned();
        let has = |option: &[u8]| words[1..].contains(&option);
        let refused = (has(b"NX") && former.is_some()) || (has(b"XX") && former.is_none());
        if !refused {
            let time = words.iter().position(|word| *word == b"PX").map(|at| words[at + 1]);
            let time = time.map(|time| std::str::from_utf8(time).unwrap().parse::<u64>().unwrap());
            let kept = former.as_ref().and_then(|known| known.deadline).filter(|_| has(b"KEEPTTL"));
            let deadline = time.map(|time| self.now + time).or(kept);
            self.set(key, words[0], deadline);
        }
        if has(b"GET") {
            return bulk(former.as_ref().map(|known| &known.value[..]));
        }
        if refused { bulk(None) } else { b"+OK\r\n".to_vec() }
    }
}

/// A value: mostly short, a number now and then, and sometimes of several chunks.
fn value(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0..10 => {
            let length = random.below(40) as usize;
            text(random, length)
        }
        10..15 => (random.below(1_000_000) as i64 - 500_000).to_string().into_bytes(),
        15 => i64::MAX.to_string().into_bytes(),
        16 | 17 => {
            let length = 3_900 + random.below(300) as usize;
            text(random, length)
        }
        _ => {
            let length = random.below(20_000) as usize;
            text(random, length)
        }
    }
}

/// The words of a command on one of a few keys.
fn words(random: &mut Random) -> Vec<Vec<u8>> {
    let key = |random: &mut Random| format!("key:{}", random.below(12)).into_bytes();
    let number = |random: &mut Random| (1 + random.below(50)).to_string().into_bytes();
    let of = |name: &str| name.as_bytes().to_vec();
    let some = |random: &mut Random| 1 + random.below(4);
    match random.below(16) {
        0..3 => vec![of("GET"), key(random)],
        3..6 => {
            let mut words = vec![of("SET"), key(random), value(random)];
            match random.below(6) {
                0 => words.extend([of("PX"), number(random)]),
                1 => words.extend([of("NX")]),
                2 => words.extend([of("XX"), of("KEEPTTL")]),
                3 => words.extend([of("GET"), of("PX"), number(random)]),
                _ => {}
            }
            words
        }
        6 | 7 => vec![of("APPEND"), key(random), value(random)],
        8 => vec![of("INCRBY"), key(random), number(random)],
        9 => vec![of("PEXPIRE"), key(random), number(random)],
        10 => vec![of(["PTTL", "PERSIST", "STRLEN"][random.below(3) as usize]), key(random)],
        11 => {
            let name = ["DEL", "EXISTS"][random.below(2) as usize];
            let keys = (0..some(random)).map(|_| key(random)).collect::<Vec<_>>();
            [vec![of(name)], keys].concat()
        }
        12 => {
            let keys = (0..some(random)).map(|_| key(random)).collect::<Vec<_>>();
            [vec![of("MGET")], keys].concat()
        }
        13 => {
            let pairs = (0..some(random)).flat_map(|_| [key(random), value(random)]);
            [vec![of("MSET")], pairs.collect()].concat()
        }
        14 => vec![of("DBSIZE")],
        _ if random.below(10) == 0 => vec![of("FLUSHALL")],
        _ => vec![of("GET"), key(random)],
    }
}

fn run(seed: u64) {
    with_memory(8 << 20, |memory| {
        let random = &mut Random::new(seed);
        let mut server = Server::new(memory, usize::MAX / 2, Policy::NoEviction);
        let mut model = Model { now: BEGIN, ..Model::default() };
        let mut session = server.open();
        let idle = memory.available();
        for round in 0..60 {
            // Several commands in a row, which come in pieces of bytes or of kilobytes.
            let longest = [3, 40, 1_000, 30_000][random.below(4) as usize];
            let (mut input, mut expected, mut said) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..1 + random.below(8) {
                let words = words(random);
                let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
                input.extend(command(&words));
                expected.extend(model.answer(&words));
                said.push(
                    words
                        .iter()
                        .map(|w| w[..w.len().min(20)].escape_ascii().to_string())
                        .collect::<Vec<_>>(),
                );
            }
            let answer = server.talk(&mut session, &input, (random, longest));
            assert!(
                answer == expected,
                "seed {seed}, round {round}: {said:?}\n{}\nexpected\n{}",
                answer[..answer.len().min(300)].escape_ascii(),
                expected[..expected.len().min(300)].escape_ascii()
            );
            let time = random.below(20);
            server.pass(time);
            model.now += time;
        }
        server.command(&mut session, &[b"FLUSHALL"]);
        server.engine.close(session);
        assert!(server.told.0.borrow().is_empty(), "seed {seed}: no deadline is left");
        let kept = idle.saturating_sub(memory.available());
        assert!(kept < 40 << 10, "seed {seed}: {kept} bytes are lost");
    });
}

#[test]
fn any_commands_in_any_pieces_are_answered_as_a_map_answers() {
    let seed = seed();
    (0..150).for_each(|number| run(seed.wrapping_add(number)));
}
