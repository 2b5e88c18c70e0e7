//! An owner's own allocation scheme in a pool's place.

use crate::Error;
use crate::buddy::Kind;
use core::alloc::Layout;
use core::ptr::NonNull;

/// How a pool that was made [with it](crate::Pool::with_scheme) finds room.
///
/// The pool calls it inside its exclusion: one call at a time, from any code that takes or gives
/// something, and none that is abandoned halfway. What the pool has to know of a block (its size,
/// its kind) is in a header of 16 bytes, or more for a larger alignment, that it asks for with each
/// block. So any scheme can be reclaimed, without doing anything for it.
///
/// # Safety
/// - [`region`](Self::region) is always the same. For as long as the program runs it is valid
///   for reads and writes, and nothing but the scheme and what it hands out uses it.
/// - A block handed out lies in the region and fits the layout; neither the scheme nor another
///   block uses that memory until the block is taken back.
/// - No function panics or enters an exclusion or a pool. Each takes a short bounded time: the
///   exclusion lasts as long.
pub unsafe trait Scheme: Send {
    /// The memory that blocks are part of, and from which the pool counts what is free.
    fn region(&self) -> NonNull<[u8]>;

    /// A block for the layout, if there is room; its size and alignment are multiples of 16.
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// Takes a block back.
    ///
    /// # Safety
    /// [`allocate`](Self::allocate) handed it out for this layout, and nobody uses it any more.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);

    /// Bytes of the largest block that there is room for now.
    fn largest_free(&self) -> usize;
}

/// The unit in which a scheme's memory is counted, in bytes, and the size of a header.
pub(crate) const UNIT: usize = 16;

/// No header: the end of the list of own blocks.
const NIL: u32 = u32::MAX;

/// What stands before each value. Places are in units from the region's start.
#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    /// Neighbours in the list of own blocks.
    next: u32,
    previous: u32,
    /// The block's length in units; the header's own place in it follows from the alignment.
    units: u32,
    /// The block's alignment as a power of two.
    align: u16,
    kind: Option<Kind>,
}

const _: () = assert!(size_of::<Header>() == UNIT);

/// A scheme with a header in front of each block. A place is that of a value, in bytes from the
/// region's start; its header is right before it.
pub(crate) struct Headed {
    scheme: &'static mut dyn Scheme,
    base: NonNull<u8>,
    /// The header of the own block allocated last.
    owned: u32,
}

impl Headed {
    /// The scheme's region and the scheme with headers.
    ///
    /// # Errors
    /// [`Error::Alignment`] unless the region begins at a multiple of [`UNIT`];
    /// [`Error::RegionTooSmall`] without a unit in it, [`Error::RegionTooLarge`] with more than
    /// 2^32 - 1.
    pub(crate) fn new(scheme: &'static mut dyn Scheme) -> Result<(NonNull<[u8]>, Self), Error> {
        let region = scheme.region();
        let base = region.cast::<u8>();
        if !base.addr().get().is_multiple_of(UNIT) {
            return Err(Error::Alignment);
        }
        match region.len() / UNIT {
            0 => return Err(Error::RegionTooSmall),
            units if units >= NIL as usize => return Err(Error::RegionTooLarge),
            _ => {}
        }
        Ok((region, Self { scheme, base, owned: NIL }))
    }

    /// Units that a value takes, its header included; one at least is behind that, for the link of a
    /// block that comes back on another core.
    pub(crate) fn granules_for(layout: Layout) -> usize {
        layout.size().max(1).div_ceil(UNIT).saturating_add(lead(layout.align()) / UNIT)
    }

    /// Takes a block and returns the place for the value.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when the scheme has no room.
    pub(crate) fn take(&mut self, layout: Layout, kind: Kind) -> Result<usize, Error> {
        let (units, align) = (Self::granules_for(layout), layout.align().max(UNIT));
        let whole = Layout::from_size_align(units * UNIT, align).map_err(|_| Error::TooLarge)?;
        let block = self.scheme.allocate(whole).ok_or(Error::Exhausted)?;
        let place = block.addr().get() - self.base.addr().get() + lead(align);
        let at = (place / UNIT) as u32 - 1;
        let align = align.trailing_zeros() as u16;
        let header = Header { next: NIL, previous: NIL, units: units as u32, align, kind: None };
        // SAFETY: the block is the scheme's answer, so it is ours, in the region, and as large as
        // was asked for: the header is in it, at a multiple of 16 from an aligned base.
        unsafe { self.header(at).write(header) };
        self.mark(at, Some(kind));
        Ok(place)
    }

    /// Takes a value's block back and returns its length in units.
    ///
    /// # Safety
    /// The place is one that [`take`](Self::take) returned, and nobody uses the value any more.
    ///
    /// # Errors
    /// [`Error::NotAllocated`] when the header says that it is of another kind, or free.
    pub(crate) unsafe fn give(&mut self, place: usize, kind: Kind) -> Result<usize, Error> {
        let at = (place / UNIT) as u32 - 1;
        // SAFETY: `take` wrote a header there when it returned the place, which it did by the
        // caller's promise; the block is taken, so that nothing else has been written to it since.
        let Header { units, align, kind: found, .. } = unsafe { self.header(at).read() };
        if found != Some(kind) {
            return Err(Error::NotAllocated);
        }
        self.mark(at, None);
        let (size, align) = (units as usize * UNIT, 1 << align);
        // SAFETY: the header has the size and alignment of the layout that `take` made and checked.
        let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
        // SAFETY: `take` put the value that many bytes behind the start of a block in the region.
        let block = unsafe { self.base.add(place - lead(align)) };
        // SAFETY: `take` got the block from the scheme for that layout. Nobody uses it any more,
        // says the caller; and the header, marked as free, is in no list.
        unsafe { self.scheme.deallocate(block, layout) };
        Ok(units as usize)
    }

    /// Changes an allocated block's kind and returns its length in units.
    ///
    /// # Errors
    /// [`Error::NotAllocated`] when it is not of the kind `from`.
    pub(crate) fn change_kind(
        &mut self,
        place: usize,
        from: Kind,
        into: Kind,
    ) -> Result<usize, Error> {
        let at = (place / UNIT) as u32 - 1;
        // SAFETY: only boxes ask, for the place of their own value, which `take` returned; it wrote
        // a header there, and the block has been taken ever since.
        let Header { units, kind, .. } = unsafe { self.header(at).read() };
        if kind != Some(from) {
            return Err(Error::NotAllocated);
        }
        self.mark(at, None);
        self.mark(at, Some(into));
        Ok(units as usize)
    }

    /// Takes an own block back and returns its length in units; `None` when there is none.
    ///
    /// # Safety
    /// Nobody uses own blocks any more.
    pub(crate) unsafe fn reclaim(&mut self) -> Option<usize> {
        if self.owned == NIL {
            return None;
        }
        // SAFETY: the list has the headers of own blocks, and a value's place, which `take`
        // returned, is right behind its header. By the caller's promise nobody uses them.
        unsafe { self.give((self.owned as usize + 1) * UNIT, Kind::Own).ok() }
    }

    /// See [`Scheme::largest_free`], less a header.
    pub(crate) fn largest_free(&self) -> usize {
        self.scheme.largest_free().saturating_sub(UNIT)
    }

    /// Sets a block's kind, and has it in the list of own blocks if it is one.
    fn mark(&mut self, at: u32, kind: Option<Kind>) {
        // SAFETY: `at` is an allocated block's header, says each caller, and its neighbours in the
        // list are others', apart from it and from each other. Headers are touched in this file
        // only, inside the pool's exclusion, so that no other reference to one lives meanwhile.
        unsafe {
            let header = self.header(at).as_mut();
            if core::mem::replace(&mut header.kind, kind) == Some(Kind::Own) {
                let (next, previous) = (header.next, header.previous);
                match previous {
                    NIL => self.owned = next,
                    _ => self.header(previous).as_mut().next = next,
                }
                if next != NIL {
                    self.header(next).as_mut().previous = previous;
                }
            }
            if kind == Some(Kind::Own) {
                let next = core::mem::replace(&mut self.owned, at);
                let header = self.header(at).as_mut();
                (header.next, header.previous) = (next, NIL);
                if next != NIL {
                    self.header(next).as_mut().previous = at;
                }
            }
        }
    }

    /// Where the header is that is so many units from the region's start.
    fn header(&self, at: u32) -> NonNull<Header> {
        // SAFETY: the callers name units of the region: what `take` computed, or stands in a
        // header.
        unsafe { self.base.cast::<Header>().add(at as usize) }
    }
}

/// Bytes from a block's start to its value.
fn lead(align: usize) -> usize {
    align.max(UNIT)
}
