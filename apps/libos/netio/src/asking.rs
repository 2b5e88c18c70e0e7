//! What a subscription asks its publisher for.

use crate::record::Kind;
use crate::{Error, Tags};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Requests of a subscriber's that may be unanswered at a time.
pub(crate) const UNANSWERED: usize = 64;

/// How far the asking for some tags has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// It is to be asked for.
    Wanted,
    /// It has been asked for.
    Asked,
    Granted,
    Declined,
    /// It is wanted no longer, and that is to be said.
    Unwanted,
    /// It has been said.
    Leaving,
}

#[derive(Clone, Copy, Debug)]
struct Ask {
    tags: Tags,
    stage: Stage,
}

/// What has become of tags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Subscribed(Tags),
    Declined(Tags),
    Unsubscribed(Tags),
}

/// What a subscription asks for, which outlasts its connections. Answers come in the order of the requests, of
/// which so many are [`UNANSWERED`] at a time.
pub(crate) struct Asking {
    asks: Vec<Option<Ask>>,
    limit: usize,
    /// Requests on their way, by their places.
    unanswered: VecDeque<usize>,
    /// Where to look for the next.
    next: usize,
    /// There may be something to be asked for.
    pending: bool,
}

impl Asking {
    /// Room for so many.
    pub(crate) fn new(limit: usize) -> Self {
        let unanswered = if limit > 0 { UNANSWERED } else { 0 };
        Self {
            asks: Vec::with_capacity(limit),
            limit,
            unanswered: VecDeque::with_capacity(unanswered),
            next: 0,
            pending: false,
        }
    }

    fn find(&mut self, tags: Tags) -> Option<&mut Option<Ask>> {
        self.asks.iter_mut().find(|ask| ask.is_some_and(|ask| ask.tags == tags))
    }

    /// Wants some tags.
    pub(crate) fn add(&mut self, tags: Tags) -> Result<(), Error> {
        if self.find(tags).is_some() {
            return Err(Error::Repeated);
        }
        let ask = Some(Ask { tags, stage: Stage::Wanted });
        match self.asks.iter().position(Option::is_none) {
            Some(at) => self.asks[at] = ask,
            None if self.asks.len() == self.limit => return Err(Error::LimitReached),
            None => self.asks.push(ask),
        }
        self.pending = true;
        Ok(())
    }

    /// Wants them no longer. True when that is at once so.
    pub(crate) fn remove(&mut self, tags: Tags, is_up: bool) -> Result<bool, Error> {
        let place = self.find(tags).ok_or(Error::Gone)?;
        let Some(ask) = place else { return Err(Error::Gone) };
        match ask.stage {
            Stage::Unwanted | Stage::Leaving => return Err(Error::Gone),
            Stage::Asked | Stage::Granted if is_up => ask.stage = Stage::Unwanted,
            _ => {
                *place = None;
                return Ok(true);
            }
        }
        self.pending = true;
        Ok(false)
    }

    /// The next request to be made.
    pub(crate) fn ask(&mut self) -> Option<(Kind, Tags)> {
        if !self.pending || self.unanswered.len() == UNANSWERED {
            return None;
        }
        for _ in 0..self.asks.len() {
            let at = self.next;
            self.next = if at + 1 >= self.asks.len() { 0 } else { at + 1 };
            let Some(Some(ask)) = self.asks.get_mut(at) else { continue };
            let kind = match ask.stage {
                Stage::Wanted => Kind::Subscribe,
                // One that has been asked for is answered first.
                Stage::Unwanted if !self.unanswered.contains(&at) => Kind::Unsubscribe,
                _ => continue,
            };
            ask.stage = if kind == Kind::Subscribe { Stage::Asked } else { Stage::Leaving };
            self.unanswered.push_back(at);
            return Some((kind, ask.tags));
        }
        self.pending = false;
        None
    }

    /// An answer has come; nothing when it answers nothing.
    pub(crate) fn answered(&mut self, kind: Kind, tags: Tags) -> Option<Option<Answer>> {
        let at = *self.unanswered.front()?;
        let place = self.asks.get_mut(at)?;
        let ask = place.as_mut().filter(|ask| ask.tags == tags)?;
        let told = match (kind, ask.stage) {
            (Kind::Subscribed, Stage::Asked) => {
                ask.stage = Stage::Granted;
                Some(Answer::Subscribed(tags))
            }
            (Kind::Declined, Stage::Asked) => {
                ask.stage = Stage::Declined;
                Some(Answer::Declined(tags))
            }
            // It is to be said still that it is not wanted.
            (Kind::Subscribed, Stage::Unwanted) => None,
            (Kind::Declined, Stage::Unwanted) | (Kind::Unsubscribed, Stage::Leaving) => {
                *place = None;
                Some(Answer::Unsubscribed(tags))
            }
            _ => return None,
        };
        self.unanswered.pop_front();
        self.pending = true;
        Some(told)
    }

    /// The connection is over: all that is wanted is to be asked for again.
    pub(crate) fn reset(&mut self) {
        self.unanswered.clear();
        for place in &mut self.asks {
            match place {
                Some(Ask { stage: Stage::Unwanted | Stage::Leaving, .. }) => *place = None,
                Some(ask) => ask.stage = Stage::Wanted,
                None => {}
            }
        }
        self.pending = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bounded_and_answered_in_turn() {
        let mut asking = Asking::new(100);
        (0..100).for_each(|tag| asking.add(Tags::exact(tag)).unwrap());
        assert_eq!(asking.add(Tags::exact(7)), Err(Error::Repeated));
        assert_eq!(asking.add(Tags::all()), Err(Error::LimitReached));
        for tag in 0..UNANSWERED as u64 {
            assert_eq!(asking.ask(), Some((Kind::Subscribe, Tags::exact(tag))));
        }
        assert_eq!(asking.ask(), None);
        assert_eq!(asking.answered(Kind::Subscribed, Tags::exact(1)), None, "out of turn");
        let told = asking.answered(Kind::Subscribed, Tags::exact(0));
        assert_eq!(told, Some(Some(Answer::Subscribed(Tags::exact(0)))));
        assert_eq!(asking.ask(), Some((Kind::Subscribe, Tags::exact(64))));
    }

    #[test]
    fn what_is_unwanted_before_it_is_answered_is_left_again() {
        let tags = Tags::masked(0, 0xff);
        let mut asking = Asking::new(4);
        asking.add(tags).unwrap();
        assert_eq!(asking.ask(), Some((Kind::Subscribe, tags)));
        assert_eq!(asking.remove(tags, true), Ok(false));
        assert_eq!(asking.ask(), None, "the answer is to come first");
        assert_eq!(asking.answered(Kind::Subscribed, tags), Some(None));
        assert_eq!(asking.ask(), Some((Kind::Unsubscribe, tags)));
        let left = asking.answered(Kind::Unsubscribed, tags);
        assert_eq!(left, Some(Some(Answer::Unsubscribed(tags))));
        assert_eq!(asking.remove(tags, true), Err(Error::Gone));
        asking.add(tags).unwrap();
    }

    #[test]
    fn all_is_asked_for_again_on_the_next_connection() {
        let mut asking = Asking::new(4);
        (0..3).for_each(|tag| asking.add(Tags::exact(tag)).unwrap());
        while asking.ask().is_some() {}
        asking.answered(Kind::Subscribed, Tags::exact(0)).unwrap();
        asking.answered(Kind::Declined, Tags::exact(1)).unwrap();
        assert_eq!(asking.remove(Tags::exact(0), true), Ok(false));
        asking.reset();
        let mut asked: std::vec::Vec<_> = core::iter::from_fn(|| asking.ask()).collect();
        asked.sort_by_key(|(_, tags)| *tags);
        let wanted = [1, 2].map(|tag| (Kind::Subscribe, Tags::exact(tag)));
        assert_eq!(asked, wanted);
    }
}
