//! A function's base address registers.

use crate::{Error, Window};
use core::ops::Range;
use virtio_drivers::transport::pci::bus::{
    BarInfo, Command, ConfigurationAccess, DeviceFunction, MemoryBarType, PciRoot,
};

/// One memory BAR.
#[derive(Clone, Copy)]
struct Bar {
    /// 0 when firmware left it unassigned.
    address: u64,
    /// A power of two.
    size: u64,
    is_64_bit: bool,
}

impl Bar {
    fn range(&self) -> Range<u64> {
        // `read` has checked that this does not overflow.
        self.address..self.address + self.size
    }
}

/// The memory BARs of a function.
pub struct Bars {
    bars: [Option<Bar>; 6],
}

impl Bars {
    /// Asks the function for them. Its decoding is off meanwhile, once for all of them: a
    /// hypervisor lays the address space out anew whenever it changes.
    ///
    /// # Errors
    /// [`Error::BadBar`].
    pub fn read<C: ConfigurationAccess>(
        root: &mut PciRoot<C>,
        function: DeviceFunction,
    ) -> Result<Self, Error> {
        let (_, command) = root.get_status_command(function);
        let decoding = Command::IO_SPACE | Command::MEMORY_SPACE;
        if command.intersects(decoding) {
            root.set_command(function, command - decoding);
        }
        let bars = Self::size(root, function);
        if command.intersects(decoding) {
            root.set_command(function, command);
        }
        bars
    }

    fn size<C: ConfigurationAccess>(
        root: &mut PciRoot<C>,
        function: DeviceFunction,
    ) -> Result<Self, Error> {
        let mut bars = [None; 6];
        let mut index = 0u8;
        while let Some(bar) = bars.get_mut(usize::from(index)) {
            index += 1;
            let info = root.bar_info(function, index - 1).map_err(|_| Error::BadBar)?;
            if let Some(BarInfo::Memory { address, size, address_type, .. }) = info {
                let is_64_bit = address_type == MemoryBarType::Width64;
                let possible = size.is_power_of_two()
                    && address.is_multiple_of(size)
                    && address.checked_add(size).is_some();
                if !possible {
                    return Err(Error::BadBar);
                }
                *bar = Some(Bar { address, size, is_64_bit });
                // The next register is this one's upper half.
                index += u8::from(is_64_bit);
            }
        }
        Ok(Self { bars })
    }

    /// Whether firmware has left any of them without an address.
    pub fn any_unassigned(&self) -> bool {
        self.bars.iter().flatten().any(|bar| bar.address == 0)
    }

    /// What the function decodes already.
    pub fn assigned(&self) -> impl Iterator<Item = Range<u64>> {
        self.bars.iter().flatten().filter(|bar| bar.address != 0).map(Bar::range)
    }

    /// Gives an address to each BAR that has none.
    ///
    /// # Errors
    /// [`Error::WindowFull`].
    pub fn assign<C: ConfigurationAccess>(
        &mut self,
        root: &mut PciRoot<C>,
        function: DeviceFunction,
        window: &mut Window,
    ) -> Result<(), Error> {
        for (index, bar) in (0..).zip(&mut self.bars) {
            if let Some(bar) = bar
                && bar.address == 0
            {
                let address = window.take(bar.size)?;
                if bar.is_64_bit {
                    root.set_bar_64(function, index, address);
                } else {
                    let address = u32::try_from(address).map_err(|_| Error::WindowFull)?;
                    root.set_bar_32(function, index, address);
                }
                bar.address = address;
            }
        }
        Ok(())
    }

    /// The physical address of `length` bytes from `offset` on in a BAR, when they lie in it.
    ///
    /// # Errors
    /// [`Error::BadBar`], [`Error::OutsideBar`].
    pub fn locate(&self, bar: u8, offset: u64, length: u64) -> Result<u64, Error> {
        let bar = self.bars.get(usize::from(bar)).copied().flatten().ok_or(Error::BadBar)?;
        match offset.checked_add(length) {
            Some(end) if end <= bar.size => Ok(bar.address + offset),
            _ => Err(Error::OutsideBar),
        }
    }
}
