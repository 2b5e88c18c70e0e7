//! An image's debug information: from addresses to functions and lines, and from a stack to
//! its callers.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, FrameAddress, Module, Unwinder};
use gimli::{Dwarf, EndianRcSlice, LittleEndian, SectionId};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::CrashReport;

/// A backtrace is cut here: a damaged stack can go round.
const DEEPEST: usize = 64;

/// With fewer callers than this from the tables, the stack's words are looked at, too.
const FEWEST: usize = 3;

/// The order in which registers are shown; others follow by name.
const ORDER: [&str; 18] = [
    "rip", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
    "r13", "r14", "r15", "rflags",
];

type Lines = addr2line::Context<EndianRcSlice<LittleEndian>>;

/// Names and unwinding tables of one image.
pub struct Symbols {
    lines: Lines,
    /// Where functions begin, in order, and their mangled names.
    functions: Vec<(u64, String)>,
    unwinder: UnwinderX86_64<Vec<u8>>,
    text: Range<u64>,
    code: Vec<u8>,
}

/// One line of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it was going on.
    pub address: u64,
    /// Function, demangled; empty when the image does not say.
    pub function: String,
    /// `file:line`, when the image says.
    pub location: Option<String>,
    /// Whether it comes from the unwinding tables (and not from a look at the stack's words).
    pub certain: bool,
}

impl Symbols {
    /// Reads an image that was not stripped.
    pub fn load(image: &Path) -> anyhow::Result<Symbols> {
        let bytes = std::fs::read(image)?;
        let file = object::File::parse(&*bytes)?;
        let section = |name: &str| {
            let section = file.section_by_name(name)?;
            let range = section.address()..section.address() + section.size();
            Some((range, section.uncompressed_data().ok()?.into_owned()))
        };
        let contents = |id: SectionId| -> anyhow::Result<_> {
            let contents = section(id.name()).map(|(_, data)| data).unwrap_or_default();
            Ok(EndianRcSlice::new(contents.into(), LittleEndian))
        };
        let lines = Lines::from_dwarf(Dwarf::load(contents)?)?;
        let (text, code) = section(".text").unwrap_or((0..0, Vec::new()));
        let mut info = ExplicitModuleSectionInfo {
            text_svma: Some(text.clone()),
            text: Some(code.clone()),
            debug_frame: section(".debug_frame").map(|(_, data)| data),
            ..Default::default()
        };
        if let Some((range, data)) = section(".eh_frame") {
            (info.eh_frame_svma, info.eh_frame) = (Some(range), Some(data));
        }
        if let Some((range, data)) = section(".eh_frame_hdr") {
            (info.eh_frame_hdr_svma, info.eh_frame_hdr) = (Some(range), Some(data));
        }
        let mut unwinder = UnwinderX86_64::new();
        unwinder.add_module(Module::new("image".to_owned(), text.clone(), 0, info));
        Ok(Symbols { lines, functions: functions(&file), unwinder, text, code })
    }

    /// The callers of a crash, innermost first.
    pub fn backtrace(&self, report: &CrashReport) -> Vec<Frame> {
        let register = |name: &str| report.registers.get(name).copied();
        let (Some(pc), Some(sp)) = (register("rip"), register("rsp")) else { return Vec::new() };
        let mut frames = Vec::new();
        let mut seen = sp;
        self.unwind(report, pc, sp, register("rbp").unwrap_or(0), |frame, top| {
            seen = top;
            frames.push(frame);
        });
        let mut named: Vec<Frame> =
            frames.iter().flat_map(|&address| self.frames_at(address, true)).collect();
        // Tables that lead nowhere from the start: better a guess than nothing.
        if frames.len() < FEWEST {
            let guessed = self.scan(report, seen);
            named.extend(guessed.into_iter().flat_map(|address| self.frames_at(address, false)));
        }
        named.truncate(DEEPEST);
        named
    }

    /// The report as text: what happened, the backtrace, the registers.
    pub fn render(&self, report: &CrashReport) -> String {
        let mut text = report.headline();
        for (number, frame) in self.backtrace(report).iter().enumerate() {
            let name = if frame.function.is_empty() { "?" } else { &frame.function };
            let doubt = if frame.certain { "" } else { "  (perhaps)" };
            let _ = writeln!(text, "  {number:>2}: {name}{doubt}");
            let at = frame.location.clone().unwrap_or_else(|| format!("{:#x}", frame.address));
            let _ = writeln!(text, "        at {at}");
        }
        text + &registers(report)
    }

    /// Walks the stack, calling `each` with every frame and the highest address read, as far as
    /// the tables lead.
    fn unwind(
        &self,
        report: &CrashReport,
        pc: u64,
        sp: u64,
        bp: u64,
        mut each: impl FnMut(FrameAddress, u64),
    ) {
        let highest = std::cell::Cell::new(sp);
        let mut read = |address: u64| {
            highest.set(highest.get().max(address.saturating_add(8)));
            report.read(address).ok_or(())
        };
        let mut cache = CacheX86_64::new();
        let registers = UnwindRegsX86_64::new(pc, sp, bp);
        let mut walk = self.unwinder.iter_frames(pc, registers, &mut cache, &mut read);
        for _ in 0..DEEPEST {
            let Ok(Some(frame)) = walk.next() else { return };
            each(frame, highest.get());
        }
    }

    /// Words of the stack above `from` that look like return addresses: they point into the
    /// code, behind a call.
    fn scan(&self, report: &CrashReport, from: u64) -> Vec<FrameAddress> {
        let mut found = Vec::new();
        for (start, bytes) in &report.stack {
            for offset in (0..bytes.len() as u64).step_by(8) {
                let address = start + offset;
                let word = report.read(address).filter(|_| address >= from);
                if let Some(word) = word.filter(|&word| self.follows_call(word)) {
                    found.extend(FrameAddress::from_return_address(word));
                }
            }
        }
        found
    }

    /// Whether the instruction before `address` is a call (E8 rel32, or FF /2 in one of its
    /// lengths: Intel SDM volume 2, CALL).
    fn follows_call(&self, address: u64) -> bool {
        if !self.text.contains(&address) {
            return false;
        }
        let end = (address - self.text.start) as usize;
        let before = |length: usize| end.checked_sub(length).and_then(|at| self.code.get(at..end));
        let direct = before(5).is_some_and(|code| code[0] == 0xe8);
        let indirect = [2, 3, 4, 6, 7].into_iter().any(|length| {
            before(length).is_some_and(|code| code[0] == 0xff && code[1] >> 3 & 7 == 2)
        });
        direct || indirect
    }

    /// The mangled name of the function that begins at or before an address.
    fn function(&self, address: u64) -> Option<&str> {
        let behind = self.functions.partition_point(|(start, _)| *start <= address);
        self.functions.get(behind.checked_sub(1)?).map(|(_, name)| name.as_str())
    }

    /// The functions at an address: the inlined ones first, then the one they are in, the symbol of
    /// which has the longer name.
    fn frames_at(&self, frame: FrameAddress, certain: bool) -> Vec<Frame> {
        let lookup = frame.address_for_lookup();
        let address = frame.address();
        if !self.text.contains(&lookup) {
            // A jump into nowhere; the tables are not made for such addresses.
            return vec![Frame { address, function: String::new(), location: None, certain }];
        }
        let mut frames = Vec::new();
        if let Ok(mut inlined) = self.lines.find_frames(lookup).skip_all_loads() {
            while let Ok(Some(one)) = inlined.next() {
                let function = one.function.as_ref().and_then(|f| f.raw_name().ok());
                let Some(function) = function else { continue };
                let function = without_parameters(&demangled(&function)).to_owned();
                let location = one.location.as_ref().and_then(|location| {
                    Some(format!("{}:{}", location.file?, location.line.unwrap_or(0)))
                });
                frames.push(Frame { address, function, location, certain });
            }
        }
        let symbol = self.function(lookup).map(demangled);
        if let (Some(outermost), Some(symbol)) = (frames.last_mut(), &symbol) {
            outermost.function.clone_from(symbol);
        }
        if frames.is_empty() {
            let function = symbol.unwrap_or_default();
            let location = self.lines.find_location(lookup).ok().flatten().and_then(|location| {
                Some(format!("{}:{}", location.file?, location.line.unwrap_or(0)))
            });
            frames.push(Frame { address, function, location, certain });
        }
        frames
    }
}

/// The functions of an image.
fn functions(file: &object::File<'_>) -> Vec<(u64, String)> {
    let named = |symbol: object::Symbol<'_, '_>| {
        let name = symbol.name().ok().filter(|name| !name.is_empty())?;
        (symbol.kind() == SymbolKind::Text).then(|| (symbol.address(), name.to_owned()))
    };
    let mut functions: Vec<(u64, String)> = file.symbols().filter_map(named).collect();
    functions.sort_unstable();
    functions
}

/// A report as text without an image's names.
pub(super) fn registers(report: &CrashReport) -> String {
    let mut text = String::new();
    let mut registers: Vec<(&String, &u64)> = report.registers.iter().collect();
    registers.sort_by_key(|(name, _)| {
        ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len())
    });
    let registers: Vec<String> =
        registers.iter().map(|(name, value)| format!("{name:>6} {value:016x}")).collect();
    for row in registers.chunks(3) {
        let _ = writeln!(text, "  {}", row.join("  "));
    }
    text
}

/// A name without the generic parameters at its end, which make it hard to find.
fn without_parameters(name: &str) -> &str {
    match name.find('<') {
        Some(start) if start > 0 => name[..start].trim_end_matches("::"),
        _ => name,
    }
}

/// A symbol's name as it is written in the source, without the compiler's hash.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
