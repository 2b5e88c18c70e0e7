//! A disk about to be opened.

use super::{Completion, Disk};
use crate::{Context, Error};
use core::ops::Range;
use core::time::Duration;
use reflex_block::{Device, Options};
use reflex_event::Priority;
use reflex_runtime::Runtime;

/// A disk about to be opened; see [`System::disk`](crate::System::disk).
#[must_use = "the disk is opened by `on`"]
pub struct DiskBuilder {
    device: Device<Runtime>,
    options: Options,
    priority: Option<Priority>,
}

impl DiskBuilder {
    pub(super) fn new(device: Device<Runtime>, range: Range<u64>) -> Self {
        let options = Options { range: Some(range), ..Options::default() };
        Self { device, options, priority: None }
    }

    /// How many requests may be under way, 1 to 1,024; 32 unless said here.
    pub fn depth(mut self, requests: u16) -> Self {
        self.options.depth = requests;
        self
    }

    /// The handler's priority, and that of requests which name none; the context's unless said here.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// After how long a request fails that says nothing of it; 30 seconds unless said here.
    pub fn within(mut self, time: Duration) -> Self {
        self.options.within = time;
        self
    }

    /// It is only read, and others may read it at the same time.
    pub fn read_only(mut self) -> Self {
        self.options.read_only = true;
        self
    }

    /// Opens it for `context`, of which `handler` is called for each request that is done.
    ///
    /// # Errors
    /// [`Error::Disk`] when another has it, or a part of it; others when memory or a limit does not allow it.
    pub fn on<S: 'static>(
        self,
        context: Context<S>,
        handler: impl Fn(&mut S, &mut Completion<'_>) + Send + 'static,
    ) -> Result<Disk, Error> {
        let priority = self.priority.unwrap_or(context.priority);
        let options = Options { priority, ..self.options };
        Ok(self.device.open(context, options, handler)?)
    }
}
