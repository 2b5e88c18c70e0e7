//! What can happen, and how bytes say it: four a step, so that a random program is a random
//! string, and a shorter string is a shorter program.

use reflex_event::{Attribute, DisabledPolicy, Limits, OverflowPolicy, Trouble};

/// One thing that happens: in the running handler, or in an interrupt over it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// What happens. Bytes in it choose among what there is.
    pub(crate) what: What,
    /// The section it happens in goes on with the next step: no dispatch yet.
    pub(crate) open: bool,
}

/// See [`Step`]. Most are the call of the core that has the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// When the event is watched, `pass` is what the watcher says.
    Activate {
        event: u8,
        count: u32,
        pass: bool,
    },
    ActivateAtOnce {
        event: u8,
        count: u32,
        pass: bool,
    },
    /// By a handler that yields to its equals.
    Yield {
        event: u8,
        count: u32,
        pass: bool,
    },
    /// The handler returns. When it was unregistered, what releasing it leads to is the steps up
    /// to the section's end.
    Return,
    Register {
        context: u8,
        priority: u8,
        each: bool,
    },
    Unregister {
        event: u8,
    },
    /// The running handler unregisters itself.
    UnregisterOwn,
    /// The event ends, and its handler is called one more time.
    EndByCall {
        event: u8,
    },
    SetPriority {
        event: u8,
        priority: u8,
    },
    Clean {
        event: u8,
    },
    Disable {
        event: u8,
        meanwhile: DisabledPolicy,
    },
    Enable {
        event: u8,
    },
    SetTrait {
        event: u8,
        which: Attribute,
        on: bool,
    },
    Rebind {
        event: u8,
        by: u8,
    },
    SetNotice {
        context: u8,
        event: Option<u8>,
    },
    Report {
        context: u8,
        trouble: Trouble,
    },
    TakeTroubles {
        context: u8,
    },
    Hold {
        context: u8,
    },
    Release {
        context: u8,
    },
    /// The running context excludes another.
    Exclude {
        context: u8,
    },
    /// That ends: mostly in the name of the one that it is true of.
    Unblock {
        context: u8,
        by: u8,
    },
    Stop {
        context: u8,
    },
    Start {
        context: u8,
    },
    /// The running handler is at a ceiling.
    Raise {
        ceiling: u8,
    },
    /// The innermost of a context's ceilings ends.
    Lower {
        context: u8,
    },
    /// The running handler waits for another context.
    WaitFor {
        context: u8,
    },
    /// The running handler waits for one of its context's events.
    Wait {
        event: u8,
    },
    Abandon {
        context: u8,
    },
    /// All registrations of a context are ended, found through the context.
    EndAll {
        context: u8,
    },
    Renew {
        context: u8,
        limits: Limits,
    },
    /// The running context is begun anew below its handler. Of another that is refused.
    RenewRunning {
        other: Option<u8>,
    },
    /// A handler panics, or a context is ended from outside: given up, emptied, begun anew.
    Fail {
        context: u8,
        limits: Limits,
    },
    SetTaken {
        context: u8,
        notify: Option<u8>,
    },
    Take {
        context: u8,
    },
    /// Everything is asked of a context that has ended.
    AskEnded {
        context: u8,
    },
    Admit {
        event: u8,
        count: u32,
    },
    ForgetTimeOut {
        event: u8,
    },
    TimeOut {
        event: u8,
    },
}

impl Step {
    /// The step that four bytes say. Zeros are the plainest.
    pub(crate) fn decode([op, a, b, c]: [u8; 4]) -> Self {
        let (event, context) = (a, a);
        let pass = c & 4 == 0;
        let what = match op {
            0..=51 => What::Activate { event, count: count(b), pass },
            52..=69 => What::ActivateAtOnce { event, count: count(b), pass },
            70..=77 => What::Yield { event, count: count(b), pass },
            78..=127 => What::Return,
            128..=145 => What::Register { context, priority: priority(b), each: c & 8 != 0 },
            146..=149 => What::Unregister { event },
            150..=151 => What::EndByCall { event },
            152..=155 => What::UnregisterOwn,
            156..=163 => What::SetPriority { event, priority: priority(b) },
            164..=167 => What::Clean { event },
            168..=174 => What::Disable { event, meanwhile: meanwhile(b) },
            175..=184 => What::Enable { event },
            185..=191 => What::SetTrait { event, which: which(b), on: c & 8 == 0 },
            192..=193 => What::Rebind { event, by: b },
            194..=195 => What::SetNotice { context, event: (b & 7 != 0).then_some(b) },
            196..=197 => What::Report { context, trouble: trouble(b) },
            198 => What::TakeTroubles { context },
            199..=201 => What::Exclude { context },
            202..=205 => What::Unblock { context, by: b },
            206..=208 => What::Hold { context },
            209..=216 => What::Release { context },
            217..=219 => What::Stop { context },
            220..=223 => What::Start { context },
            224..=227 => What::Wait { event },
            228 => What::Raise { ceiling: priority(b) },
            229 => What::Lower { context },
            230..=231 => What::WaitFor { context },
            232..=233 => What::Abandon { context },
            234 => What::EndAll { context },
            235 => What::Renew { context, limits: limits(b) },
            236..=238 => What::Fail { context, limits: limits(b) },
            239 => What::SetTaken { context, notify: (b & 3 != 0).then_some(b) },
            240..=244 => What::Take { context },
            245 => What::AskEnded { context },
            246 => What::RenewRunning { other: (c & 8 != 0).then_some(a) },
            247..=248 => What::Admit { event, count: count(b) },
            249..=250 => What::ForgetTimeOut { event },
            251..=255 => What::TimeOut { event },
        };
        Self { what, open: c & 3 == 3 }
    }
}

/// Few, so that there are many equals; now and then any.
fn priority(byte: u8) -> u8 {
    if byte < 192 { 10 + byte % 4 } else { (byte - 192) % 64 }
}

fn count(byte: u8) -> u32 {
    match byte {
        0..=239 => u32::from(byte % 4 % 3) + 1,
        240..=254 => 0,
        255 => u32::MAX,
    }
}

fn meanwhile(byte: u8) -> DisabledPolicy {
    [DisabledPolicy::Keep, DisabledPolicy::Keep, DisabledPolicy::Count, DisabledPolicy::Discard]
        [usize::from(byte % 4)]
}

fn which(byte: u8) -> Attribute {
    [Attribute::Wakes, Attribute::Wakes, Attribute::Watched, Attribute::Timed]
        [usize::from(byte % 4)]
}

fn trouble(byte: u8) -> Trouble {
    Trouble::ALL[usize::from(byte) % Trouble::KINDS]
}

/// Half of all contexts have limits.
pub(crate) fn limits(byte: u8) -> Limits {
    let activations = [u32::MAX, u32::MAX, 1, 2][usize::from(byte & 3)];
    let overload = if byte & 4 == 0 { OverflowPolicy::Wait } else { OverflowPolicy::Shed };
    let registrations = if byte & 24 == 24 { 3 } else { u32::MAX };
    Limits { registrations, activations, overload }
}
