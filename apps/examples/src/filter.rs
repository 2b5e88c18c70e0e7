//! The console: of the lines that are typed, those with a word in them are said back, until an empty one.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
use reflex::kind::Console;
use reflex::prelude::*;
use reflex::{Argument, println, status};

const WORD: Argument = Argument::text("word", "WORD", "what to look for").usually("reflex");
/// What is typed beyond it is not looked at.
const LONGEST: usize = 120;

struct Filter {
    system: System,
    word: &'static str,
    line: String,
}

#[reflex::main(arguments = &[WORD])]
fn main(system: System) -> Result {
    let word = system.argument(WORD).unwrap_or("reflex");
    let filter = Filter { system, word, line: String::new() };
    let filter = system.context("filter", filter).build()?;
    system.subscribe(Console::open(system)?).on(filter, |filter, event| {
        event.data.iter().for_each(|&byte| filter.typed(byte));
    })?;
    Ok(())
}

impl Filter {
    fn typed(&mut self, byte: u8) {
        if byte != b'\n' {
            if self.line.len() < LONGEST {
                self.line.push(if byte.is_ascii() { byte.into() } else { '?' });
            }
            return;
        }
        if self.line.is_empty() {
            self.system.exit(status::SUCCESS);
        }
        if self.line.contains(self.word) {
            println!("{}", self.line);
        }
        self.line.clear();
    }
}
