//! Ctrl-Alt-Del among scan codes of set 1, which the controller translates to.

/// Keys that matter, as bits of what is held.
const CTRL: u8 = 1 << 0 | 1 << 1;
const ALT: u8 = 1 << 2 | 1 << 3;
const DELETE: u8 = 1 << 4 | 1 << 5;
/// Set in the code of a key that is released.
const RELEASED: u8 = 0x80;

/// What the next byte means.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Expected {
    #[default]
    Key,
    /// The code of a key of the second block: 0xe0 has come.
    Extended,
    /// So many bytes of the one key that has two codes, Pause: 0xe1 has come.
    Pause(u8),
}

/// Which of the keys are held, by the bytes so far. Any bytes will do: those of other keys and answers of
/// the keyboard change nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Chord {
    held: u8,
    expected: Expected,
}

impl Chord {
    /// Takes the next byte: true when it completes Ctrl-Alt-Del. Either Ctrl, either Alt and either Del will
    /// do, in any order; the codes that the keyboard repeats while they are held complete nothing again.
    pub fn take(&mut self, byte: u8) -> bool {
        let expected = core::mem::take(&mut self.expected);
        match (expected, byte) {
            // The keyboard has lost count of its keys, and so it is not known what is held.
            (_, 0x00 | 0xff) => *self = Self::default(),
            (_, 0xe0) => self.expected = Expected::Extended,
            (_, 0xe1) => self.expected = Expected::Pause(2),
            (Expected::Pause(2), _) => self.expected = Expected::Pause(1),
            (Expected::Pause(_), _) => {}
            (Expected::Key, code) => return self.key(code, 0),
            (Expected::Extended, code) => return self.key(code, 1),
        }
        false
    }

    /// Takes the code of a key of the first or the second block.
    fn key(&mut self, code: u8, block: u8) -> bool {
        let key = match code & !RELEASED {
            0x1d => 1 << block,
            0x38 => 1 << (2 + block),
            0x53 => 1 << (4 + block),
            _ => return false,
        };
        let before = self.complete();
        if code & RELEASED == 0 {
            self.held |= key;
        } else {
            self.held &= !key;
        }
        self.complete() && !before
    }

    fn complete(self) -> bool {
        [CTRL, ALT, DELETE].iter().all(|keys| self.held & keys != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Either key of each kind, by the codes of pressing it.
    const KEYS: [[&[u8]; 2]; 3] =
        [[&[0x1d], &[0xe0, 0x1d]], [&[0x38], &[0xe0, 0x38]], [&[0x53], &[0xe0, 0x53]]];
    /// Orders of three.
    const ORDERS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

    fn released(pressed: &[u8]) -> Vec<u8> {
        let (code, prefix) = pressed.split_last().unwrap();
        [prefix, &[code | RELEASED]].concat()
    }

    /// How often these bytes complete it.
    fn count(chord: &mut Chord, bytes: &[u8]) -> usize {
        bytes.iter().filter(|byte| chord.take(**byte)).count()
    }

    /// What other keys send, Pause among them, and what the keyboard answers.
    fn others() -> impl Strategy<Value = Vec<u8>> {
        let key = any::<u8>().prop_filter("of another key", |byte| {
            ![0x00, 0x1d, 0x38, 0x53, 0x60, 0x61, 0x7f].contains(&(byte & !RELEASED))
        });
        prop_oneof![
            key.clone().prop_map(|code| vec![code]),
            key.prop_map(|code| vec![0xe0, code]),
            Just(vec![0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]),
        ]
    }

    proptest! {
        #[test]
        fn any_variant_in_any_order_among_other_keys_counts_once(
            sides in prop::array::uniform3(0_usize..2),
            order in prop::sample::select(&ORDERS[..]),
            between in prop::collection::vec(others(), 8),
            repeats in 0_usize..4,
        ) {
            let keys = order.map(|kind| KEYS[kind][sides[kind]]);
            let (mut chord, mut between) = (Chord::default(), between.iter());
            for _ in 0..2 {
                for (turn, key) in keys.iter().enumerate() {
                    prop_assert_eq!(count(&mut chord, between.next().unwrap()), 0);
                    prop_assert_eq!(count(&mut chord, key), usize::from(turn == 2));
                }
                prop_assert_eq!(count(&mut chord, &keys[2].repeat(repeats)), 0);
                for key in keys {
                    prop_assert_eq!(count(&mut chord, &released(key)), 0);
                }
                prop_assert_eq!(count(&mut chord, between.next().unwrap()), 0);
                prop_assert_eq!(chord, Chord::default());
            }
        }

        /// Whatever has come, it is recognized once the keys have been released.
        #[test]
        fn no_bytes_keep_it_from_being_recognized(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut chord = Chord::default();
            count(&mut chord, &bytes);
            // At most two bytes are still taken for those of a key that has begun.
            count(&mut chord, &[0x39, 0xb9]);
            for key in KEYS.as_flattened() {
                prop_assert_eq!(count(&mut chord, &released(key)), 0);
            }
            prop_assert_eq!(count(&mut chord, &[0x1d, 0x38, 0xe0, 0x53]), 1);
        }

        #[test]
        fn without_one_of_the_three_it_is_nothing(
            missing in 0_usize..3,
            typed in prop::collection::vec((0_usize..3, 0_usize..2, any::<bool>()), 0..64),
        ) {
            let mut chord = Chord::default();
            for (kind, side, up) in typed.into_iter().filter(|(kind, ..)| *kind != missing) {
                let key = KEYS[kind][side];
                let bytes = if up { released(key) } else { key.to_vec() };
                prop_assert_eq!(count(&mut chord, &bytes), 0);
            }
        }
    }

    #[test]
    fn the_ctrl_of_pause_is_none_and_an_overrun_forgets_what_is_held() {
        let mut chord = Chord::default();
        assert_eq!(count(&mut chord, &[0x38, 0xe1, 0x1d, 0x45, 0xe0, 0x53]), 0);
        assert_eq!(count(&mut chord, &[0x1d]), 1);
        for overrun in [0x00, 0xff] {
            assert_eq!(count(&mut chord, &[overrun, 0xe0, 0x53]), 0);
            assert_eq!(count(&mut chord, &[0x1d, 0x38]), 1);
        }
    }
}
