//! Trees built in the test's own memory, against a plain map from pages to what may be done.

use super::*;
use proptest::prelude::*;
use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;

/// Hands out frames, at most as many as it is made for, and frees them at the end.
struct Source {
    handed_out: Vec<u64>,
    most: usize,
}

impl Source {
    const FRAME: Layout = match Layout::from_size_align(PAGE as usize, PAGE as usize) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    fn new(most: usize) -> Self {
        Self { handed_out: Vec::new(), most }
    }

    fn next(&mut self) -> Option<u64> {
        (self.handed_out.len() < self.most).then(|| {
            // SAFETY: the layout is not of size zero.
            let frame = unsafe { alloc(Self::FRAME) } as u64;
            self.handed_out.push(frame);
            frame
        })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        for frame in &self.handed_out {
            // SAFETY: `next` allocated it so, and the tree is not used any more.
            unsafe { dealloc(*frame as *mut u8, Self::FRAME) };
        }
    }
}

fn space(source: &mut Source) -> AddressSpace {
    // SAFETY: the frames are the test's own, and the source outlives the space's last use.
    unsafe { AddressSpace::new(&mut || source.next()) }.unwrap()
}

const MIB: u64 = 1 << 20;

#[test]
fn an_image_at_1_mib_in_4_mib_needs_six_tables() {
    let mut source = Source::new(6);
    let mut space = space(&mut source);
    let mut frames = || source.next();
    space.map(MIB..MIB + 0x10000, Access::ReadExecute, &mut frames).unwrap();
    space.map(MIB + 0x10000..MIB + 0x18000, Access::Read, &mut frames).unwrap();
    space.map(MIB + 0x18000..MIB + 0x60000, Access::ReadWrite, &mut frames).unwrap();
    space.map_ram(MIB + 0x60000..4 * MIB - 0x20000, &mut frames).unwrap();
    space.unmap_guard(MIB + 0x20000, &mut frames).unwrap();
    space.map_device(0xfec0_0000, 4096, &mut frames).unwrap();
    space.map_device(0xfee0_0000, 4096, &mut frames).unwrap();

    assert_eq!(space.lookup(0), None);
    assert_eq!(space.lookup(MIB - 1), None);
    assert_eq!(space.lookup(MIB), Some(Access::ReadExecute));
    assert_eq!(space.lookup(MIB + 0x17fff), Some(Access::Read));
    assert_eq!(space.lookup(MIB + 0x1ffff), Some(Access::ReadWrite));
    assert_eq!(space.lookup(MIB + 0x20fff), None);
    assert_eq!(space.lookup(2 * MIB - 1), Some(Access::ReadWrite));
    assert_eq!(space.lookup(3 * MIB), Some(Access::ReadWrite));
    assert_eq!(space.lookup(0xfee0_0300), Some(Access::Device));
    assert_eq!(space.lookup(0xfff0_0000), None);
}

#[test]
fn no_entry_is_both_writable_and_executable() {
    for access in [Access::Read, Access::ReadWrite, Access::ReadExecute, Access::Device] {
        let bits = access.bits();
        assert!(bits & WRITABLE == 0 || bits & NO_EXECUTE != 0, "{access:?}");
        assert_eq!(Access::from_bits(bits), access);
    }
}

#[test]
fn devices_are_mapped_where_they_are_even_beyond_512_gib() {
    let mut source = Source::new(100);
    let mut space = space(&mut source);
    let address = 0x38_0000_0000_u64 + 0x1ff_f000;
    space.map_device(address, 0x4000, &mut || source.next()).unwrap();
    assert_eq!(space.lookup(address), Some(Access::Device));
    assert_eq!(space.lookup(address + 0x3fff), Some(Access::Device));
    let end = space.map_device(LIMIT - 0x1000, 0x2000, &mut || source.next());
    assert_eq!(end, Err(Error::NotCanonical));
    assert_eq!(space.map_device(u64::MAX, 1, &mut || source.next()), Err(Error::NotCanonical));
}

#[test]
fn a_device_beside_ram_takes_its_pages_only() {
    let mut source = Source::new(100);
    let mut space = space(&mut source);
    space.map_ram(2 * MIB..4 * MIB - 0x20000, &mut || source.next()).unwrap();
    space.map_device(4 * MIB - 0x1000, 0x1000, &mut || source.next()).unwrap();
    assert_eq!(space.lookup(4 * MIB - 0x1001), Some(Access::ReadWrite));
    assert_eq!(space.lookup(4 * MIB - 0x1000), Some(Access::Device));
}

#[test]
fn refusals() {
    let mut source = Source::new(4);
    let mut space = space(&mut source);
    let mut frames = || source.next();
    space.map(MIB..MIB + PAGE, Access::Read, &mut frames).unwrap();
    assert_eq!(space.map(MIB..MIB + PAGE, Access::Read, &mut frames), Err(Error::Mapped));
    assert_eq!(space.map(1..PAGE, Access::Read, &mut frames), Err(Error::Misaligned));
    assert_eq!(space.unmap_guard(0, &mut frames), Err(Error::NotMapped));
    assert_eq!(space.unmap_guard(5, &mut frames), Err(Error::Misaligned));
    space.map_ram(4 * MIB..6 * MIB, &mut frames).unwrap();
    assert_eq!(space.unmap_guard(4 * MIB, &mut frames), Err(Error::OutOfFrames));
    assert_eq!(space.lookup(4 * MIB), Some(Access::ReadWrite), "the page stays as it was");
}

#[derive(Clone, Debug)]
enum Step {
    Map(u64, u64, u8),
    Guard(u64),
    Device(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    // Twelve MiB, so that 2 MiB pages are split, shared and left alone.
    let page = 0..3072_u64;
    prop_oneof![
        (page.clone(), 1..700_u64, 0..3_u8)
            .prop_map(|(page, count, access)| { Step::Map(page, count, access) }),
        page.clone().prop_map(Step::Guard),
        (page, 1..20_u64).prop_map(|(page, count)| Step::Device(page, count)),
    ]
}

proptest! {
    /// After any sequence of steps, each page is as the last step that named it left it.
    #[test]
    fn named_pages_are_as_they_were_last_set(
        steps in prop::collection::vec(step(), 1..20),
    ) {
        let mut source = Source::new(64);
        let mut space = space(&mut source);
        let mut named: HashMap<u64, Option<Access>> = HashMap::new();
        for step in steps {
            let mut frames = || source.next();
            match step {
                Step::Map(first, count, access) => {
                    let access = [Access::Read, Access::ReadWrite, Access::ReadExecute]
                        [usize::from(access)];
                    let range = first * PAGE..(first + count) * PAGE;
                    let free = (first..first + count).take_while(|page| {
                        space.lookup(page * PAGE).is_none()
                    });
                    let free: Vec<u64> = free.collect();
                    let whole = free.len() as u64 == count;
                    let mapped = space.map(range, access, &mut frames);
                    prop_assert_eq!(mapped, if whole { Ok(()) } else { Err(Error::Mapped) });
                    named.extend(free.into_iter().map(|page| (page, Some(access))));
                }
                Step::Guard(page) => {
                    if space.lookup(page * PAGE).is_some() {
                        space.unmap_guard(page * PAGE, &mut frames).unwrap();
                        named.insert(page, None);
                    }
                }
                Step::Device(first, count) => {
                    space.map_device(first * PAGE, count * PAGE, &mut frames).unwrap();
                    // Neighbours in the same 2 MiB may have come along: not those named.
                    for page in first..first + count {
                        named.insert(page, Some(Access::Device));
                    }
                    let (low, high) = (first & !511, (first + count + 511) & !511);
                    for page in low..high {
                        if named.get(&page) == Some(&None) {
                            prop_assert_eq!(space.lookup(page * PAGE), None);
                        }
                    }
                }
            }
            for (page, access) in &named {
                prop_assert_eq!(space.lookup(page * PAGE), *access);
            }
        }
    }
}
