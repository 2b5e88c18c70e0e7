//! A few values in place: what a server says is bounded by what there is room for.

/// At most `N` values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct List<T, const N: usize> {
    /// The first ones are there.
    items: [Option<T>; N],
}

impl<T: Copy, const N: usize> List<T, N> {
    /// None.
    pub const fn new() -> Self {
        Self { items: [None; N] }
    }

    /// Adds one. Returns whether there was room.
    pub fn push(&mut self, item: T) -> bool {
        let free = self.items.iter_mut().find(|place| place.is_none());
        free.map(|place| *place = Some(item)).is_some()
    }

    /// Adds one; when there is no room, the first makes place.
    pub fn push_over(&mut self, item: T) {
        if !self.push(item) {
            self.items.rotate_left(1);
            if let Some(last) = self.items.last_mut() {
                *last = Some(item);
            }
        }
    }

    /// The values, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.items.iter().copied().flatten()
    }

    /// The first one.
    pub fn first(&self) -> Option<T> {
        self.iter().next()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }
}

impl<T: Copy, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> IntoIterator for List<T, N> {
    type Item = T;
    type IntoIter = core::iter::Flatten<core::array::IntoIter<Option<T>, N>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter().flatten()
    }
}
