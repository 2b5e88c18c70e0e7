//! What all connections of a listener share.

use crate::counters::Counters;
use crate::cursor::Cursor;
use crate::date::Date;
use crate::fields::Interim;
use crate::image::Image;
use crate::judge::{Verdict, judge};
use crate::limits::KEPT;
use crate::memo::Memo;
use crate::plan::{Answer, Body, Persistence, Plan};
use crate::request::{Reading, read};
use crate::response;
use crate::routes::{Desk, Routes, SiteAlone};
use crate::status::Status;
use crate::usual::Usual;
use crate::{Error, HEAD_LIMIT, Limits, Site, Target};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Room for a request head of any permitted length.
pub(crate) type LargeHead = Box<[u8; HEAD_LIMIT]>;

/// A site ready to be served. One for all sessions of a context.
pub struct Server<R: Routes = SiteAlone> {
    site: Site,
    pub(crate) routes: R,
    limits: Limits,
    /// Every response is its connection's last.
    shutting_down: bool,
    date: Date,
    /// Seconds of the machine's own clock.
    now: u32,
    /// Of file `i` at `Persistence::COUNT * i` and what follows.
    images: Box<[Image]>,
    memo: Memo,
    usual: Usual,
    /// Rooms for large heads that no session has.
    large_heads: Vec<LargeHead>,
    /// Where paths are normalised, and heads of replies written.
    path: LargeHead,
    /// Where heads are rendered that no image has.
    head: Box<[u8; KEPT]>,
    /// What has happened so far.
    pub counters: Counters,
}

/// A response to write.
pub(crate) struct Rendered<'a> {
    /// The head, and possibly all of the body.
    pub(crate) bytes: &'a [u8],
    /// Length of the head.
    pub(crate) head: usize,
    /// The body.
    pub(crate) body: &'static [u8],
}

impl Server {
    /// A server of a site alone; see [`with_routes`](Server::with_routes).
    ///
    /// # Errors
    /// What is wrong with the site.
    pub fn new(site: Site, limits: Limits, unix_seconds: Option<u64>) -> Result<Self, Error> {
        Self::with_routes(site, SiteAlone, limits, unix_seconds)
    }
}

impl<R: Routes> Server<R> {
    /// Renders `site`, which there is beside `routes`. `unix_seconds` is the time of day in seconds since 1970; without one,
    /// responses have no Date.
    ///
    /// This is where all memory is allocated: for each file three response heads, with the body
    /// if it has at most 1 KB; 8 KB for each of [`Limits::large_heads`].
    ///
    /// # Errors
    /// What is wrong with the site.
    pub fn with_routes(
        site: Site,
        routes: R,
        limits: Limits,
        unix_seconds: Option<u64>,
    ) -> Result<Self, Error> {
        site.check()?;
        let date = Date::new(unix_seconds);
        let mut head = zeroed();
        let mut images = Vec::with_capacity(site.files.len() * Persistence::COUNT);
        for index in 0..site.files.len() {
            let index = u16::try_from(index).map_err(|_| Error::NoSuchFile)?;
            for persistence in Persistence::ALL {
                let plan = Plan { answer: Answer::File(index), persistence, body: Body::Sent };
                images.push(Image::new(&plan, &site, &date, &mut head[..])?);
            }
        }
        for answer in longest_answers(&site) {
            let plan = Plan { answer, persistence: Persistence::Closed, body: Body::Sent };
            let mut cursor = Cursor::new(&mut head[..]);
            response::write(&mut cursor, &plan, &site, &date);
            if cursor.overflowed() {
                return Err(Error::HeadTooLong);
            }
        }
        Ok(Self {
            site,
            routes,
            limits,
            shutting_down: false,
            date,
            now: 0,
            images: images.into_boxed_slice(),
            memo: Memo::new(Plan::refusal(Status::BadRequest)),
            usual: Usual::NEW,
            large_heads: (0..limits.large_heads).map(|_| zeroed()).collect(),
            path: zeroed(),
            head,
            counters: Counters::default(),
        })
    }

    /// Says what time it is: `uptime` in seconds, which never goes back and is what time-outs
    /// follow; and the time of day for the Date of responses. To be called once a second.
    pub fn tick(&mut self, uptime: u32, unix_seconds: Option<u64>) {
        self.now = uptime;
        if let Some(seconds) = unix_seconds {
            self.date.set(seconds);
        }
    }

    /// From now on every response says that it is the last of its connection. To be followed by
    /// [`Session::shut_down`](crate::Session::shut_down), with the limit on silence that is returned, for
    /// every connection there is.
    pub fn shut_down(&mut self) -> u32 {
        self.shutting_down = true;
        // What is remembered are responses with others behind them.
        self.memo = Memo::new(Plan::refusal(Status::BadRequest));
        let shorter = self.limits.idle.min(1);
        core::mem::replace(&mut self.limits.idle, shorter)
    }

    /// Whether every response is its connection's last.
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down
    }

    /// What replies of handlers are written with.
    pub(crate) fn desk(&mut self) -> Desk<'_> {
        Desk {
            counters: &mut self.counters,
            date: &self.date,
            scratch: &mut self.path[..],
            shutting_down: self.shutting_down,
        }
    }

    /// The uptime of the last tick, in seconds.
    pub fn now(&self) -> u32 {
        self.now
    }

    /// The limits it was made with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The earliest second at which `seconds` have passed for certain.
    pub(crate) fn after(&self, seconds: u32) -> u32 {
        // This second may be nearly over.
        self.now.saturating_add(seconds).saturating_add(1)
    }

    /// Reads the request at the start of `bytes`.
    #[inline]
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Reading<Verdict<R::Exchange>> {
        if let Some((length, plan)) = self.memo.find(bytes) {
            let verdict = Verdict::Planned { plan, body: 0, interim: Interim::No };
            return Reading::Complete(length, verdict);
        }
        let window = &bytes[..bytes.len().min(HEAD_LIMIT)];
        let Self { site, routes, limits, path, usual, .. } = self;
        // Beside routes what a path is for depends on more than the path.
        let plain = if R::ROUTED { None } else { usual.read(window, site) };
        let mut reading = match plain {
            Some((length, plan)) => {
                let verdict = Verdict::Planned { plan, body: 0, interim: Interim::No };
                Reading::Complete(length, verdict)
            }
            None => read(window, |request, head| {
                judge(request, head, (site, routes), limits, &mut path[..])
            }),
        };
        if self.shutting_down {
            if let Reading::Complete(_, Verdict::Planned { plan, .. }) = &mut reading {
                plan.persistence = Persistence::Closed;
            }
            return reading;
        }
        if let Reading::Complete(length, Verdict::Planned { plan, body: 0, .. }) = reading {
            self.memo.learn(&window[..length], plan);
        }
        reading
    }

    /// Renders the response that `plan` says.
    #[inline]
    pub(crate) fn render(&mut self, plan: &Plan) -> Rendered<'_> {
        self.counters.responses += 1;
        if let Answer::File(index) = plan.answer {
            let index = usize::from(index);
            let image = &mut self.images[index * Persistence::COUNT + plan.persistence as usize];
            let (bytes, head) = image.at(&self.date);
            return match plan.body {
                Body::Sent => Rendered { bytes, head, body: self.site.files[index].content },
                Body::Omitted => Rendered { bytes: &bytes[..head], head, body: b"" },
            };
        }
        let mut cursor = Cursor::new(&mut self.head[..]);
        let body = response::write(&mut cursor, plan, &self.site, &self.date);
        let head = cursor.len();
        Rendered { bytes: &self.head[..head], head, body }
    }

    /// Lends room for a large head, if there is some left.
    pub(crate) fn borrow_large_head(&mut self) -> Option<LargeHead> {
        let room = self.large_heads.pop();
        self.counters.head_shortages += u64::from(room.is_none());
        room
    }

    /// Takes such room back. It was lent by this server, so the vector has a place for it.
    pub(crate) fn return_large_head(&mut self, room: LargeHead) {
        self.large_heads.push(room);
    }
}

/// Memory that never lies on the stack, which may be small.
pub(crate) fn zeroed<const SIZE: usize>() -> Box<[u8; SIZE]> {
    match vec![0; SIZE].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("a slice of {SIZE} bytes has {SIZE} bytes"),
    }
}

/// The answers with the longest heads; no request has one longer.
fn longest_answers(site: &Site) -> impl Iterator<Item = Answer> {
    let parts = (0..site.files.len() as u16).map(|file| Answer::Part {
        file,
        first: 0,
        last: usize::MAX - 1,
    });
    let moves = site.entries.iter().filter_map(|entry| match entry.target {
        Target::Directory(location) => Some(Answer::Moved(location)),
        Target::File(_) => None,
    });
    parts.chain(moves).chain([Answer::Status(Status::NotFound)])
}
