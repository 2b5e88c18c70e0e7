//! What becomes of occurrences that arrive before the handler has run: a registration's choice.

use crate::store::{Slots, Store};
use reflex_event::Error;
use reflex_memory::Pool;

/// How a registration keeps occurrences with data of type `T`.
pub trait Accumulate<T: Send + 'static>: Send + 'static {
    /// What the handler is told of the data.
    type Payload;

    /// Room for what is kept, in the owner's event memory.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    fn store(pool: &'static Pool) -> Result<Store<T>, Error>;

    /// What the handler is told of an occurrence, of which the store has kept `data`.
    fn payload(data: Option<T>) -> Option<Self::Payload>;
}

/// Occurrences are counted, and their data is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Counted;

/// The data of the last occurrence is kept, and occurrences are counted.
#[derive(Clone, Copy, Debug)]
pub struct Latest;

/// Up to `N` occurrences wait, each with its data; then the source is held up, or whatever else
/// the registration's [`Shortage`](crate::Shortage) says.
#[derive(Clone, Copy, Debug)]
pub struct Each<const N: usize>;

impl<T: Send + 'static> Accumulate<T> for Counted {
    type Payload = ();

    fn store(_: &'static Pool) -> Result<Store<T>, Error> {
        Ok(Store::count())
    }

    fn payload(_: Option<T>) -> Option<()> {
        Some(())
    }
}

impl<T: Send + 'static> Accumulate<T> for Latest {
    type Payload = T;

    fn store(_: &'static Pool) -> Result<Store<T>, Error> {
        Ok(Store::latest())
    }

    fn payload(data: Option<T>) -> Option<T> {
        data
    }
}

impl<T: Send + 'static, const N: usize> Accumulate<T> for Each<N> {
    type Payload = T;

    fn store(pool: &'static Pool) -> Result<Store<T>, Error> {
        const { assert!(N > 0, "there must be room for one") };
        let slots = pool.alloc([const { None }; N]).map_err(|_| Error::OutOfMemory)?;
        Ok(Store::each(Slots::new(slots.unsize(|slots: &mut [_; N]| slots as &mut [_]))))
    }

    fn payload(data: Option<T>) -> Option<T> {
        data
    }
}
