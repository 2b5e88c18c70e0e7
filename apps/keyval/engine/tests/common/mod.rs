//! Engines in the host's memory, and a peer that cuts what is sent and received as it likes.

use keyval_engine::{Database, Deadlines, Engine, Policy, Session, Shared};
use reflex_collections::{Keyed, Memory, Own};
use reflex_testkit::{Random, pool};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// When all tests begin, in milliseconds since 1970.
pub(crate) const BEGIN: u64 = 1_700_000_000_000;

/// Runs `work` with the memory of a context.
pub(crate) fn with_memory<R>(bytes: usize, work: impl FnOnce(Memory) -> R) -> R {
    let pool = pool(bytes);
    // SAFETY: each test is its pool's owner, and nothing is reclaimed.
    work(Memory::new(unsafe { Own::new(pool) }, Keyed::new([7; 16])))
}

/// Deadlines that a test looks at.
#[derive(Clone, Default)]
pub(crate) struct Told(pub(crate) Rc<RefCell<BTreeMap<u64, u64>>>);

impl Deadlines for Told {
    fn set(&mut self, hash: u64, deadline: u64) -> bool {
        self.0.borrow_mut().insert(hash, deadline);
        true
    }

    fn cancel(&mut self, hash: u64) {
        self.0.borrow_mut().remove(&hash);
    }
}

/// A server, and what a test has of it.
pub(crate) struct Server {
    pub(crate) engine: Engine<Database<Told>>,
    pub(crate) memory: Memory,
    pub(crate) shared: Arc<Shared>,
    pub(crate) told: Told,
    pub(crate) now: u64,
}

impl Server {
    pub(crate) fn new(memory: Memory, limit: usize, policy: Policy) -> Self {
        let (shared, told) = (Arc::new(Shared::new(limit, policy)), Told::default());
        let random = (0x0123_4567_89ab_cdef, BEGIN);
        let database = Database::new(memory, shared.clone(), told.clone(), random).unwrap();
        let engine = Engine::new(database, memory, shared.clone());
        Self { engine, memory, shared, told, now: BEGIN }
    }

    pub(crate) fn open(&mut self) -> Session {
        self.engine.open(self.memory).unwrap()
    }

    /// What is answered when the bytes come in pieces, and go in pieces, of at most `longest` bytes.
    pub(crate) fn talk(
        &mut self,
        session: &mut Session,
        input: &[u8],
        (random, longest): (&mut Random, u64),
    ) -> Vec<u8> {
        let (mut answer, mut begin, mut end) = (Vec::new(), 0, 0);
        while begin < input.len() || !session.is_sent() {
            while !session.is_sent() {
                let bytes = self.engine.backlog(session);
                assert!(!bytes.is_empty(), "there is something to send");
                let length = bytes.len().min(1 + random.below(longest) as usize);
                answer.extend(&bytes[..length]);
                self.engine.sent(session, length);
            }
            if begin == end {
                end = input.len().min(begin + 1 + random.below(longest) as usize);
            }
            let mut room = vec![0; 1 + random.below(longest) as usize];
            let done = self.engine.exchange(session, &input[begin..end], &mut room, self.now);
            answer.extend(&room[..done.written]);
            begin += done.consumed;
            let blocked = done.written == room.len() || !session.is_sent() || begin == end;
            assert!(blocked, "what could be answered is answered");
        }
        answer
    }

    /// What is answered when all comes at once, and there is room for all of it.
    pub(crate) fn ask(&mut self, session: &mut Session, input: &[u8]) -> Vec<u8> {
        self.talk(session, input, (&mut Random::new(1), 1 << 20))
    }

    /// What is answered to the words of one command.
    pub(crate) fn command(&mut self, session: &mut Session, words: &[&[u8]]) -> Vec<u8> {
        self.ask(session, &command(words))
    }

    /// Time passes, and deadlines are told that are due.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let now = self.now;
        let due: Vec<u64> = self
            .told
            .0
            .borrow()
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(hash, _)| *hash)
            .collect();
        for hash in due {
            self.told.0.borrow_mut().remove(&hash);
            self.engine.expire(hash, now);
        }
    }
}

/// A command as clients send it.
pub(crate) fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(*word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Text that does not repeat itself soon.
pub(crate) fn text(random: &mut Random, length: usize) -> Vec<u8> {
    let mut text = vec![0; length];
    random.fill(&mut text);
    text
}

/// The seed of a test's random choices, printed; `REFLEX_SEED=N` repeats them.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("REFLEX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.expect("a clock").as_nanos() as u64
    });
    println!("REFLEX_SEED={seed}");
    seed
}
