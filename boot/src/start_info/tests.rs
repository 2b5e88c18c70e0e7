use super::*;

const AT: u64 = 0x6000;

/// A start info with what it points to, in 12 KiB of memory from [`AT`] on.
struct Handed(Vec<u8>);

impl Handed {
    fn new(version: u32, command_line: &[u8], map: &[(u64, u64, u32)]) -> Self {
        let mut bytes = vec![0; 12 << 10];
        let mut put = |offset: usize, value: &[u8]| {
            bytes[offset..offset + value.len()].copy_from_slice(value);
        };
        put(0, &MAGIC.to_le_bytes());
        put(4, &version.to_le_bytes());
        put(24, &(AT + 0x1000).to_le_bytes());
        put(32, &0xf59e0_u64.to_le_bytes());
        put(40, &(AT + 0x2000).to_le_bytes());
        put(48, &(map.len() as u32).to_le_bytes());
        put(0x1000, command_line);
        for (place, (start, size, kind)) in map.iter().enumerate() {
            let entry = 0x2000 + 24 * place;
            put(entry, &start.to_le_bytes());
            put(entry + 8, &size.to_le_bytes());
            put(entry + 16, &kind.to_le_bytes());
        }
        Self(bytes)
    }

    fn read(&self) -> Result<StartInfo, Error> {
        let mut info = StartInfo::new();
        info.read(AT, |address, length| {
            let offset = usize::try_from(address.checked_sub(AT)?).ok()?;
            self.0.get(offset..offset.checked_add(length)?)
        })?;
        Ok(info)
    }
}

#[test]
fn everything_is_copied_out() {
    let map = [(0x10_0000, 0x30_0000, 1), (0, 0, 1), (0xf000_0000, u64::MAX, 2)];
    let info = Handed::new(1, b"log=debug color=red\0garbage", &map).read().unwrap();
    assert_eq!(info.command_line(), b"log=debug color=red");
    assert_eq!(info.rsdp, Some(0xf59e0));
    assert_eq!(info.own(), [AT..AT + 52, AT + 0x1000..AT + 0x1014, AT + 0x2000..AT + 0x2048]);
    let range = |addresses, usable| MemoryRange { addresses, usable };
    assert_eq!(
        info.ranges(),
        [range(0x10_0000..0x40_0000, true), range(0..0, true), range(0xf000_0000..u64::MAX, false),]
    );
}

#[test]
fn modules_are_told_of_by_their_places() {
    let list: u64 = 0x1800;
    let with = |count: u32| {
        let mut handed = Handed::new(1, b"\0", &[(0, 1, 1)]);
        handed.0[12..16].copy_from_slice(&count.to_le_bytes());
        handed.0[16..24].copy_from_slice(&(AT + list).to_le_bytes());
        for number in 0..u64::from(count) {
            let entry = (list + 32 * number) as usize;
            handed.0[entry..entry + 8].copy_from_slice(&(number << 20).to_le_bytes());
            handed.0[entry + 8..entry + 16].copy_from_slice(&(number + 7).to_le_bytes());
        }
        handed.read()
    };
    let info = with(2).unwrap();
    let module = |address, length| Module { address, length };
    assert_eq!(info.modules(), [module(0, 7), module(1 << 20, 8)]);
    assert_eq!(with(8).unwrap().modules().len(), 8);
    assert_eq!(with(9).unwrap_err(), Error::TooManyModules);
    let mut nowhere = Handed::new(1, b"\0", &[(0, 1, 1)]);
    nowhere.0[12] = 1;
    nowhere.0[16..24].fill(0xff);
    assert_eq!(nowhere.read().unwrap_err(), Error::Unreadable);
}

#[test]
fn absent_parts_are_none() {
    let mut handed = Handed::new(1, b"x\0", &[]);
    handed.0[24..40].fill(0);
    let info = handed.read().unwrap();
    assert_eq!((info.command_line(), info.rsdp, info.ranges().len()), (&b""[..], None, 0));
}

#[test]
fn nonsense_is_refused() {
    let refuse = |handed: Handed| handed.read().unwrap_err();
    let mut handed = Handed::new(1, b"\0", &[]);
    handed.0[0] ^= 1;
    assert_eq!(refuse(handed), Error::UnknownProtocol);
    assert_eq!(refuse(Handed::new(0, b"\0", &[])), Error::NoMemoryMap);
    let mut cut = Handed::new(1, b"\0", &[]);
    cut.0.truncate(51);
    assert_eq!(refuse(cut), Error::Unreadable);
    assert_eq!(refuse(Handed(vec![0; 7])), Error::Unreadable);
    assert_eq!(refuse(Handed::new(1, b"\0", &[(0, 1, 1); MOST_RANGES + 1])), Error::TooManyRanges);
    let mut handed = Handed::new(1, b"\0", &[(0, 1, 1)]);
    handed.0[40..48].fill(0xff);
    assert_eq!(refuse(handed), Error::Unreadable);
    let mut handed = Handed::new(1, b"\0", &[]);
    handed.0[24..32].fill(0xff);
    assert_eq!(refuse(handed), Error::Unreadable);
}

#[test]
fn command_lines_fit_up_to_their_limit() {
    let mut text = vec![b'x'; LONGEST_COMMAND_LINE];
    text.push(0);
    let info = Handed::new(1, &text, &[]).read().unwrap();
    assert_eq!(info.command_line().len(), LONGEST_COMMAND_LINE);
    text.insert(0, b'x');
    let refused = Handed::new(1, &text, &[]).read().unwrap_err();
    assert_eq!(refused, Error::CommandLineTooLong);
}
