//! Requests against a map of what is on its way.

use proptest::prelude::*;
use reflex_across::{Requests, Token, TooMany};
use std::collections::BTreeMap;

const PLACES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(u16),
    /// The tokens are those that there ever were.
    Finish(usize),
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u16>().prop_map(Step::Begin),
        (0..20usize).prop_map(Step::Finish),
        (0..20usize).prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn each_is_told_once(steps in prop::collection::vec(step(), 0..100)) {
        let mut requests = Requests::<u16, PLACES>::new();
        let mut tokens = Vec::<Token>::new();
        // By the token's number: what is to be told, none when that was forgotten.
        let mut asked = BTreeMap::<usize, Option<u16>>::new();
        for step in steps {
            match step {
                Step::Begin(told) if asked.len() == PLACES => {
                    prop_assert_eq!(requests.begin(told), Err(TooMany(told)));
                }
                Step::Begin(told) => {
                    let token = requests.begin(told).expect("there is a place");
                    prop_assert!(!tokens.contains(&token), "a name came again");
                    prop_assert_eq!(Token::from_word(token.into_word()), token);
                    asked.insert(tokens.len(), Some(told));
                    tokens.push(token);
                }
                Step::Finish(number) => {
                    let Some(token) = tokens.get(number) else { continue };
                    prop_assert_eq!(requests.finish(*token), asked.remove(&number).flatten());
                }
                Step::Forget(number) => {
                    let Some(token) = tokens.get(number) else { continue };
                    let there = asked.get_mut(&number).and_then(Option::take);
                    prop_assert_eq!(requests.forget(*token), there);
                }
            }
        }
    }
}

#[test]
fn what_is_no_request_tells_nothing() {
    let mut requests = Requests::<(), PLACES>::new();
    assert_eq!(requests.finish(Token::from_word(0)), None, "the place is free");
    assert_eq!(requests.finish(Token::from_word(77)), None, "there is no such place");
    assert_eq!(requests.forget(Token::from_word(1 << 32)), None, "it was never taken");
}
