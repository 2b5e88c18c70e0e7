//! Control of what another core owns: requests that are on their way, and what is told when they are done.
//!
//! ```text
//!   free ──begin──▶ asked ──finish──▶ free        told
//!                     │
//!                     └──forget──▶ forgotten ──finish──▶ free        nobody is told
//! ```
//!
//! The request crosses with its [`Token`], and the answer brings that back. A place is not free before the answer is
//! here, even when nobody waits for it any more: so never more than `N` answers are on their way, for which the peer
//! [keeps](crate::Port::new) places.

use core::fmt;

/// Requests of one core to one other, `N` at a time. `R` is what is to be done, or to be told, when one is done.
pub struct Requests<R, const N: usize> {
    places: [Place<R>; N],
    /// The first of the places that are free again.
    free: Option<u32>,
    /// Places that were ever taken.
    used: u32,
}

struct Place<R> {
    state: State<R>,
    /// How often the place was taken.
    generation: u32,
}

enum State<R> {
    /// With the next that is free again.
    Free(Option<u32>),
    Asked(R),
    Forgotten,
}

/// A request's name, with which its answer finds it. None comes again within 2^32 requests of a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    place: u32,
    generation: u32,
}

/// A request was not taken: as many are on their way as may be. What it was to tell comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TooMany<R>(pub R);

impl<R, const N: usize> Requests<R, N> {
    /// None is on its way.
    pub const fn new() -> Self {
        const { assert!(N < u32::MAX as usize, "a token has 32 bits for the place") };
        let places = [const { Place { state: State::Free(None), generation: 0 } }; N];
        Self { places, free: None, used: 0 }
    }

    /// Begins a request, of which `told` is told when it is done.
    ///
    /// # Errors
    /// `told`, when as many are on their way as may be.
    pub fn begin(&mut self, told: R) -> Result<Token, TooMany<R>> {
        let index = self.free.unwrap_or(self.used);
        let Some(place) = self.places.get_mut(index as usize) else { return Err(TooMany(told)) };
        if let State::Free(next) = place.state {
            self.free = next;
        }
        self.used = self.used.max(index + 1);
        place.state = State::Asked(told);
        place.generation = place.generation.wrapping_add(1);
        Ok(Token { place: index, generation: place.generation })
    }

    /// The answer is here: returns what is told, once; nothing for a request that was forgotten, or is none.
    pub fn finish(&mut self, token: Token) -> Option<R> {
        let free = self.free;
        let place = self.place(token)?;
        if matches!(place.state, State::Free(_)) {
            return None;
        }
        let state = core::mem::replace(&mut place.state, State::Free(free));
        self.free = Some(token.place);
        match state {
            State::Asked(told) => Some(told),
            State::Forgotten | State::Free(_) => None,
        }
    }

    /// What was to be told is not: its owner has come to its end, or the request was not sent after all (then it is
    /// [finished](Self::finish), too).
    pub fn forget(&mut self, token: Token) -> Option<R> {
        let place = self.place(token)?;
        if !matches!(place.state, State::Asked(_)) {
            return None;
        }
        match core::mem::replace(&mut place.state, State::Forgotten) {
            State::Asked(told) => Some(told),
            State::Forgotten | State::Free(_) => None,
        }
    }

    /// The place of a token that is not of the past.
    fn place(&mut self, token: Token) -> Option<&mut Place<R>> {
        let place = self.places.get_mut(token.place as usize)?;
        (place.generation == token.generation).then_some(place)
    }
}

impl Token {
    /// The token in a word.
    pub const fn into_word(self) -> u64 {
        (self.generation as u64) << 32 | self.place as u64
    }

    /// The token that was in a word.
    pub const fn from_word(word: u64) -> Self {
        Self { place: word as u32, generation: (word >> 32) as u32 }
    }
}

impl<R, const N: usize> Default for Requests<R, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R, const N: usize> fmt::Debug for Requests<R, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.places.iter().filter(|place| matches!(place.state, State::Free(_))).count();
        f.debug_struct("Requests").field("on_their_way", &(N - free)).finish_non_exhaustive()
    }
}

impl<R> fmt::Display for TooMany<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as many requests are on their way to the other core as may be")
    }
}

impl<R> fmt::Debug for TooMany<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TooMany")
    }
}

impl<R> core::error::Error for TooMany<R> {}
