//! What the command line says of contexts: words `context.NAME.KEY=VALUE`.
//!
//! The operator, who starts the image, has the last word over its author. All such words are
//! checked at the start, although contexts are only made later: a limit that was mistyped is no
//! limit.

use crate::CommandLine;
use core::fmt;
use core::time::Duration;
use reflex_event::{Executor, Executors, OverflowPolicy, Priority};

/// What is said of one context.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ContextConfig<'a> {
    /// `memory`: bytes of event memory.
    pub memory: Option<usize>,
    /// `stack`: bytes of stack.
    pub stack: Option<usize>,
    /// `registrations`: how many it may have.
    pub registrations: Option<u32>,
    /// `activations`: how many may be queued at a time.
    pub activations: Option<u32>,
    /// `overload`: what becomes of more, `wait` or `shed`.
    pub overload: Option<OverflowPolicy>,
    /// `budget`: time that one run of a handler may take.
    pub budget: Option<Duration>,
    /// `priority`: that of registrations which name none.
    pub priority: Option<Priority>,
    /// `children`: contexts that it may have made at a time.
    pub children: Option<u16>,
    /// `executors`: those it may name, of `direct`, `new-context`, `waiting`, `ring`, or `none`.
    pub executors: Option<Executors>,
    /// `kinds`: names of the kinds of events that it may register for, or `none`.
    pub kinds: Option<&'a str>,
    /// `not-during`: names of the protected sections that its handlers may not interrupt.
    pub not_during: Option<&'a str>,
}

/// A word that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigError<'a> {
    /// The word's key.
    pub key: &'a str,
    /// What was expected.
    pub expected: &'static str,
}

impl fmt::Display for ConfigError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command line: {}: expected {}", self.key, self.expected)
    }
}

impl<'a> CommandLine<'a> {
    /// The words about contexts: the whole key, the context's name, the rest of the key, the value.
    fn context_words(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a str, &'a str)> {
        self.words().filter_map(|(key, value)| {
            let (name, item) = key.strip_prefix("context.")?.rsplit_once('.').unwrap_or(("", ""));
            Some((key, name, item, value))
        })
    }

    /// What is said of the context called `name`, as far as it makes sense.
    pub fn context(&self, name: &str) -> ContextConfig<'a> {
        let mut config = ContextConfig::default();
        for (_, of, item, value) in self.context_words() {
            if of == name {
                // Checked at the start.
                let _ = config.set(item, value);
            }
        }
        config
    }

    /// The names of the contexts that something is said of; some come several times.
    pub fn context_names(&self) -> impl Iterator<Item = &'a str> {
        self.context_words().map(|(_, name, _, _)| name)
    }

    /// Checks all that is said of contexts.
    ///
    /// # Errors
    /// The first word that makes no sense.
    pub fn check_contexts(&self) -> Result<(), ConfigError<'a>> {
        for (key, name, item, value) in self.context_words() {
            let wrong = |expected| ConfigError { key, expected };
            if name.is_empty() {
                return Err(wrong(
                    "a context's name and what is set, as in context.web.memory=64k",
                ));
            }
            if self.words().filter(|(other, _)| *other == key).count() > 1 {
                return Err(wrong("to be said only once"));
            }
            ContextConfig::default().set(item, value).map_err(wrong)?;
        }
        Ok(())
    }
}

impl<'a> ContextConfig<'a> {
    /// Sets what `item` names; else says what was expected.
    fn set(&mut self, item: &str, value: &'a str) -> Result<(), &'static str> {
        /// The registrations an image can have at all are fewer.
        const MOST: usize = 1 << 31;
        const BYTES: &str = "a number of bytes, such as 65536, 64k or 1m";
        match item {
            "memory" => self.memory = Some(bytes(value, 1 << 10).ok_or(BYTES)?),
            "stack" => self.stack = Some(bytes(value, 4 << 10).ok_or(BYTES)?),
            "registrations" => {
                let most = number(value, 0, MOST).ok_or("a number of registrations")?;
                self.registrations = Some(most as u32);
            }
            "activations" => {
                let most = number(value, 1, MOST).ok_or("a number of activations, at least 1")?;
                self.activations = Some(most as u32);
            }
            "overload" => self.overload = Some(overload(value).ok_or("wait or shed")?),
            "budget" => {
                let expected = "a time, such as 500us, 10ms or 1s";
                self.budget = Some(time(value).ok_or(expected)?);
            }
            "priority" => {
                let level = number(value, 0, Priority::LEVELS - 1).map(|level| level as u8);
                let expected = "a priority from 0 to 63";
                self.priority = Some(level.and_then(Priority::new).ok_or(expected)?);
            }
            "children" => {
                let most = number(value, 0, usize::from(u16::MAX));
                self.children = Some(most.ok_or("a number of contexts")? as u16);
            }
            "executors" => {
                let expected = "none, or some of direct,new-context,waiting,ring";
                self.executors = Some(executors(value).ok_or(expected)?);
            }
            "kinds" => self.kinds = Some(list(value).ok_or("none, or names such as timer,tcp")?),
            "not-during" => {
                self.not_during = Some(list(value).ok_or("names of protected sections")?);
            }
            _ => {
                return Err(
                    "memory, stack, registrations, activations, overload, budget, priority, \
                     children, executors, kinds or not-during after the context's name",
                );
            }
        }
        Ok(())
    }
}

/// The names in a list as [`ContextConfig::kinds`] is one.
pub fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(|name| *name != "none")
}

fn number(text: &str, least: usize, most: usize) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && (least..=most).contains(number))
}

/// A number of bytes, as in `64k`, that is at least `least`.
pub(crate) fn bytes(text: &str, least: usize) -> Option<usize> {
    let units = [('k', 10), ('m', 20)];
    let in_unit = units.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
    let (digits, shift) = in_unit.unwrap_or((text, 0));
    let bytes = number(digits, 0, usize::MAX >> shift)? << shift;
    (bytes >= least).then_some(bytes)
}

fn time(text: &str) -> Option<Duration> {
    let unit = text.find(|byte: char| !byte.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(unit)?;
    let nanos: u64 = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    let count = number(digits, 1, usize::MAX)? as u64;
    count.checked_mul(nanos).map(Duration::from_nanos)
}

fn overload(text: &str) -> Option<OverflowPolicy> {
    match text {
        "wait" => Some(OverflowPolicy::Wait),
        "shed" => Some(OverflowPolicy::Shed),
        _ => None,
    }
}

fn executors(text: &str) -> Option<Executors> {
    if text == "none" {
        return Some(Executors::NONE);
    }
    text.split(',').try_fold(Executors::NONE, |set, name| {
        Some(set.with(match name {
            "direct" => Executor::Direct,
            "new-context" => Executor::NewContext,
            "waiting" => Executor::Waiting,
            "ring" => Executor::Ring,
            _ => return None,
        }))
    })
}

fn list(text: &str) -> Option<&str> {
    let named = text == "none" || text.split(',').all(|name| !name.is_empty() && name != "none");
    named.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> CommandLine<'_> {
        CommandLine::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_context_has_what_is_said_of_it() {
        let text = "log=off context.web.memory=64k context.web.registrations=100 \
                    context.web.activations=8 context.web.overload=shed context.web.budget=10ms \
                    context.web.priority=40 context.web.children=0 context.web.stack=32768 \
                    context.web.executors=direct,ring context.web.kinds=tcp,timer \
                    context.a.b.not-during=settle context.a.b.memory=1m context.a.b.kinds=none \
                    context.a.b.executors=none contexts.web.memory=1";
        let line = line(text);
        line.check_contexts().unwrap();
        let executors = Executors::NONE.with(Executor::Direct).with(Executor::Ring);
        assert_eq!(
            line.context("web"),
            ContextConfig {
                memory: Some(65_536),
                stack: Some(32_768),
                registrations: Some(100),
                activations: Some(8),
                overload: Some(OverflowPolicy::Shed),
                budget: Some(Duration::from_millis(10)),
                priority: Priority::new(40),
                children: Some(0),
                executors: Some(executors),
                kinds: Some("tcp,timer"),
                not_during: None,
            }
        );
        let other = line.context("a.b");
        assert_eq!((other.memory, other.not_during), (Some(1 << 20), Some("settle")));
        assert_eq!(other.executors, Some(Executors::NONE));
        assert_eq!(names(other.kinds.unwrap()).count(), 0);
        assert!(names("tcp,timer").eq(["tcp", "timer"]));
        assert_eq!(line.context("a"), ContextConfig::default());
        assert!(line.context_names().any(|name| name == "a.b"));
    }

    #[test]
    fn each_refusal_names_the_word_and_what_was_expected() {
        for (text, key, expected) in [
            ("context=1 context.web=1", "context.web", "name"),
            ("context.memory=1", "context.memory", "name"),
            ("context..memory=64k", "context..memory", "name"),
            ("context.web.memroy=64k", "context.web.memroy", "memory, stack"),
            ("context.web.memory", "context.web.memory", "bytes"),
            ("context.web.memory=64kb", "context.web.memory", "bytes"),
            ("context.web.memory=-1", "context.web.memory", "bytes"),
            ("context.web.memory=1023", "context.web.memory", "bytes"),
            ("context.web.memory=99999999999999999999m", "context.web.memory", "bytes"),
            ("context.web.stack=1k", "context.web.stack", "bytes"),
            ("context.web.registrations=many", "context.web.registrations", "number"),
            ("context.web.activations=0", "context.web.activations", "at least 1"),
            ("context.web.overload=drop", "context.web.overload", "wait or shed"),
            ("context.web.budget=10", "context.web.budget", "time"),
            ("context.web.budget=0ms", "context.web.budget", "time"),
            ("context.web.budget=10min", "context.web.budget", "time"),
            ("context.web.priority=64", "context.web.priority", "0 to 63"),
            ("context.web.priority=+6", "context.web.priority", "0 to 63"),
            ("context.web.children=65536", "context.web.children", "contexts"),
            ("context.web.executors=direct,", "context.web.executors", "ring"),
            ("context.web.kinds=", "context.web.kinds", "names"),
            ("context.web.kinds=none,tcp", "context.web.kinds", "names"),
            ("context.web.not-during=,a", "context.web.not-during", "sections"),
            ("context.w.memory=1m context.w.memory=2m", "context.w.memory", "once"),
        ] {
            let refused = line(text).check_contexts().unwrap_err();
            assert_eq!(refused.key, key, "{text}");
            assert!(refused.to_string().contains(expected), "{text}: {refused}");
        }
    }
}
