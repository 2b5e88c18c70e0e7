//! Settings, as CONFIG has them.

use crate::arguments::LONGEST_VALUE;
use crate::command::Call;
use crate::counters::{Limits, Policy};
use crate::failure::Failure;
use crate::glob::matches;
use crate::number::{Decimal, parse};

const MEMORY: &str = "maxmemory";
const POLICY: &str = "maxmemory-policy";

/// Answers with the settings of the names that match the patterns from the second word on.
pub(crate) fn get(limits: &Limits, call: &mut Call<'_, '_>) -> Result<(), Failure> {
    let command = call.command;
    if command.len() < 3 {
        return Err(Failure::Arguments("config|get"));
    }
    let memory = Decimal::new(limits.memory() as i64);
    let longest = Decimal::new(LONGEST_VALUE as i64);
    // Nothing is ever saved.
    let all: [(&str, &[u8]); 5] = [
        (MEMORY, memory.text()),
        (POLICY, limits.policy().name().as_bytes()),
        ("proto-max-bulk-len", longest.text()),
        ("save", b""),
        ("appendonly", b"no"),
    ];
    let asked = |name: &str| {
        let mut patterns = (2..command.len()).map(|at| command.word(at).unwrap_or_default());
        patterns.any(|pattern| matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
    };
    call.reply.array(2 * all.iter().filter(|(name, _)| asked(name)).count());
    for (name, value) in all.into_iter().filter(|(name, _)| asked(name)) {
        call.reply.bulk(name.as_bytes());
        call.reply.bulk(value);
    }
    Ok(())
}

/// Sets one; its name is the second word, the value the third.
pub(crate) fn set(limits: &Limits, call: &mut Call<'_, '_>) -> Result<(), Failure> {
    let command = call.command;
    if command.len() != 4 {
        return Err(Failure::Arguments("config|set"));
    }
    if command.is(2, MEMORY) {
        let bytes = bytes(command.word(3)?).ok_or(Failure::SettingValue)?;
        limits.set_memory(bytes);
    } else if command.is(2, POLICY) {
        limits.set_policy(Policy::named(command.word(3)?).ok_or(Failure::SettingValue)?);
    } else {
        return Err(Failure::Setting);
    }
    call.reply.ok();
    Ok(())
}

/// A number of bytes, perhaps with `kb`, `mb` or `gb` behind it.
fn bytes(text: &[u8]) -> Option<usize> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let shift = match &unit.to_ascii_lowercase()[..] {
        b"" | b"b" => 0,
        b"k" | b"kb" => 10,
        b"m" | b"mb" => 20,
        b"g" | b"gb" => 30,
        _ => return None,
    };
    let number = parse(number).and_then(|number| usize::try_from(number).ok())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}
