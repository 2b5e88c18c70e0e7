use super::super::deferral::Start;
use super::super::local::{Fixed, LocalCell};
use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A section of the host's: one thread at a time is in it, as in one of the core.
struct Exclusive(
    #[allow(dead_code, reason = "held for as long as it lives")] MutexGuard<'static, ()>,
);

impl Exclusive {
    fn enter() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        Self(ONE.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn token(&self) -> &Section {
        // SAFETY: the lock is held for as long as the token is borrowed.
        unsafe { Section::assume() }
    }
}

/// What `work` says when it panics.
fn panic_of(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
    *panic.downcast::<String>().expect("it says why")
}

#[test]
fn a_value_is_lent_for_a_closures_time() {
    let section = Exclusive::enter();
    let cs = section.token();
    let value = Local::new(1);
    assert_eq!(value.with(cs, |value| core::mem::replace(value, 2)), 1);
    assert_eq!(value.with(cs, |value| *value), 2);
    let later = LateInit::new();
    later.set(cs, String::from("made"));
    later.with(cs, |text| text.push_str(" later"));
    assert_eq!(later.with(cs, |text| text.clone()), "made later");
    assert_not_borrowed();
}

#[test]
fn several_values_are_lent_at_a_time() {
    let section = Exclusive::enter();
    let cs = section.token();
    let (one, other) = (Local::new(1), Local::new(2));
    one.with(cs, |one| other.with(cs, |other| core::mem::swap(one, other)));
    assert_eq!((one.with(cs, |one| *one), other.with(cs, |other| *other)), (2, 1));
}

#[test]
fn both_borrowers_are_named_when_a_second_comes() {
    let section = Exclusive::enter();
    let cs = section.token();
    let value = Local::new(0);
    let first = line!() + 1;
    let said = panic_of(|| value.with(cs, |_| value.with(cs, |_| unreachable!("lent twice"))));
    let place = std::format!("{}:{first}:", file!());
    let (second, first) = said.split_once(" while it is borrowed at ").expect("it names both");
    assert!(second.starts_with(&std::format!("borrowed at {place}")), "{said}");
    assert!(first.starts_with(&place) && second.split_once(first).is_none(), "{said}");
    // The first borrow has ended by that.
    value.with(cs, |value| *value += 1);
}

#[test]
fn a_borrow_is_noticed_where_the_processor_changes_stacks() {
    let section = Exclusive::enter();
    let cs = section.token();
    let value = LateInit::new();
    value.set(cs, 0);
    let said = panic_of(|| value.with(cs, |_| assert_not_borrowed()));
    assert!(said.contains("changes stacks while values of the core are borrowed"), "{said}");
    assert_not_borrowed();
}

#[test]
fn cells_and_fixed_values_are_read_as_they_were_written() {
    let section = Exclusive::enter();
    let cs = section.token();
    let cell = LocalCell::new(1);
    cell.set(cs, 2);
    assert_eq!(cell.get(cs), 2);
    let fixed = Fixed::new();
    // SAFETY: nobody else has it.
    fixed.set(&unsafe { Start::assume() }, 3);
    assert_eq!(*fixed.get(), 3);
}
