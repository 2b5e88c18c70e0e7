//! Memory and stacks, from the host. They are never given back: what was made of them may be known for as long
//! as the process lives.

use core::ops::Range;
use core::ptr::NonNull;
use reflex_runtime::memory::StackSource;

/// What the kernel has stacks made by.
pub(super) const STACKS: StackSource =
    StackSource { make: guarded, open: |_| false, close: |_| {} };

const PAGE: usize = 4096;

/// What a stack has beside what was asked for: code is not optimised in tests, and a panic is told from there. It
/// takes nothing as long as it is not used.
const EXTRA: usize = 512 << 10;

/// What stays over a stack: a backtrace looks there for the caller of what was begun on the stack.
const OVER: usize = 16 << 10;

/// Memory of the host's: zero, a whole number of pages, nobody else's.
pub(super) fn map(bytes: usize) -> Option<NonNull<[u8]>> {
    let bytes = bytes.checked_next_multiple_of(PAGE)?;
    // SAFETY: a new mapping, where the host has room for it.
    let start = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    let start = (start != libc::MAP_FAILED).then_some(start)?;
    // The kernel finds its memory by address.
    let start = NonNull::new(start.cast::<u8>())?;
    start.expose_provenance();
    Some(NonNull::slice_from_raw_parts(start, bytes))
}

/// A stack of at least so many bytes over pages that nobody can reach, the reserve among them.
fn guarded(bytes: usize, reserve: usize) -> Option<Range<usize>> {
    let under = reserve.checked_next_multiple_of(PAGE)? + PAGE;
    let bytes = bytes.checked_add(EXTRA + OVER)?.checked_next_multiple_of(PAGE)?;
    let whole = map(bytes.checked_add(under)?)?;
    let start = whole.cast::<u8>();
    // SAFETY: the lowest pages of the mapping made above, which nobody has seen yet.
    let closed = unsafe { libc::mprotect(start.as_ptr().cast(), under, libc::PROT_NONE) };
    let start = start.addr().get();
    (closed == 0).then_some(start + under..start + whole.len() - OVER)
}
