//! Preparing to serve HTTP.

use crate::http::calls::Calls;
use crate::http::each::{self, Exchange};
use crate::http::handler;
use crate::http::server::{Declared, HttpServer};
use crate::http::web::{Dispatcher, Web, unix_time};
use crate::http::{
    Limits, Method, Request, Respond, Route, Routed, Routes, Service, Site, SiteAlone,
};
use crate::{Context, Error, Priority, System};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use reflex_event::{Ceiling, EventSystem as _, Registration};

/// Several requests that come at once.
const RECEIVE_BUFFER: usize = 4 << 10;
/// Most replies in one go, with what is not acknowledged yet.
const SEND_BUFFER: usize = 8 << 10;
/// What a connection takes beside its buffers: its socket, its session and its handler.
const BESIDE_BUFFERS: usize = 4 << 10;
/// Of that, what lies in the context's event memory: its handler.
const HANDLER: usize = 64;
/// The most connections at a time, unless more are asked for.
const USUAL_CONNECTIONS: usize = 1024;
/// Memory for requests on their way through handlers: the least, and what a connection adds.
const REQUESTS: usize = 256 << 10;
const REQUEST: usize = 1 << 10;

/// A port that is to serve HTTP: a site, routes, or both; see [`System::http`].
#[must_use = "nothing is served before `serve`"]
pub struct HttpBuilder<R = ()> {
    system: System,
    port: u16,
    site: Site,
    limits: Limits,
    connections: Option<usize>,
    buffers: (usize, usize),
    requests: Option<usize>,
    priority: Priority,
    routes: R,
}

/// Routes that have been declared.
#[derive(Default)]
pub struct RouteList(Vec<Declaration>);

struct Declaration {
    method: Method,
    route: Route,
    /// Registers its handler, if it has one already.
    attach: Option<Attach>,
}

type Attach = Box<dyn FnOnce(&'static Calls, usize) -> Result<(), Error>>;

impl From<()> for RouteList {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl System {
    /// Prepares to serve HTTP on a port.
    ///
    /// ```
    /// # use reflex::http::{Refusal, Reply, Request, Route, Site};
    /// # use reflex::{prelude::*, testing::Simulation};
    /// # const SITE: Site = Site { files: &[], entries: &[], not_found: None };
    /// #[derive(Default)]
    /// struct Notes(Vec<String>);
    ///
    /// impl Notes {
    ///     fn add(&mut self, request: &Request<'_>) -> Result<Reply, Refusal> {
    ///         self.0.push(request.json()?);
    ///         Ok(Reply::created(format!("/v1/notes/{}", self.0.len() - 1)))
    ///     }
    ///
    ///     fn show(&mut self, request: &Request<'_>) -> Result<Option<Reply>, Refusal> {
    ///         let note = self.0.get(request.path::<usize>("id")?);
    ///         Ok(note.map(|note| Reply::ok().text(note.clone())))
    ///     }
    /// }
    ///
    /// # let mut sim = Simulation::new(|system| {
    /// let notes = system.context("notes", Notes::default()).build()?;
    /// system
    ///     .http(80)
    ///     .site(SITE)
    ///     .get("/v1/notes/:id", notes, Notes::show)
    ///     .post(Route::new("/v1/notes").body_limit(1024), notes, Notes::add)
    ///     .serve()?;
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// # let client = sim.connect(80);
    /// # client.send("POST /v1/notes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 6\r\n\r\n\"milk\"");
    /// # client.send("GET /v1/notes/0 HTTP/1.1\r\nhost: a\r\n\r\n");
    /// # sim.run();
    /// # let received = String::from_utf8(client.received()).unwrap();
    /// # assert!(received.starts_with("HTTP/1.1 201 ") && received.ends_with("\r\n\r\nmilk"), "{received}");
    /// ```
    pub fn http(self, port: u16) -> HttpBuilder {
        const NOTHING: Site = Site { files: &[], entries: &[], not_found: None };
        HttpBuilder {
            system: self,
            port,
            site: NOTHING,
            limits: Limits::default(),
            connections: None,
            buffers: (RECEIVE_BUFFER, SEND_BUFFER),
            requests: None,
            priority: Priority::DEFAULT,
            routes: (),
        }
    }
}

impl<R: Into<RouteList>> HttpBuilder<R> {
    /// Has files served, too: those that no route is for.
    pub fn site(self, site: Site) -> Self {
        Self { site, ..self }
    }

    /// How many connections there may be at a time; as many as half of the memory holds, at most 1024, unless said
    /// here.
    pub fn connections(self, most: usize) -> Self {
        Self { connections: Some(most), ..self }
    }

    /// Bytes of a connection's buffers; 4 KiB to receive and 8 KiB to send unless said here.
    pub fn buffers(self, receive: usize, send: usize) -> Self {
        Self { buffers: (receive, send), ..self }
    }

    /// Bytes of memory for requests that are put together or are with their handlers: 256 KiB, or 1 KiB for each
    /// connection if that is more, unless said here. When it is used up clients are told 503.
    pub fn request_memory(self, bytes: usize) -> Self {
        Self { requests: Some(bytes), ..self }
    }

    /// Time-outs and bounds; [`Limits::default`] unless said here, and a room for large heads for each 64
    /// connections.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The priority at which connections are served; handlers have that of their contexts.
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Has `handler`, in `context`, answer GET requests for a path, and HEAD, of which the body is left out.
    pub fn get<S, F, A>(
        self,
        route: impl Into<Route>,
        context: Context<S>,
        handler: F,
    ) -> HttpBuilder<RouteList>
    where
        S: 'static,
        F: Fn(&mut S, &Request<'_>) -> A + Send + 'static,
        A: Respond,
    {
        self.on(Method::Get, route, context, handler)
    }

    /// Has `handler`, in `context`, answer POST requests for a path.
    pub fn post<S, F, A>(
        self,
        route: impl Into<Route>,
        context: Context<S>,
        handler: F,
    ) -> HttpBuilder<RouteList>
    where
        S: 'static,
        F: Fn(&mut S, &Request<'_>) -> A + Send + 'static,
        A: Respond,
    {
        self.on(Method::Post, route, context, handler)
    }

    /// Has `handler`, in `context`, answer PUT requests for a path.
    pub fn put<S, F, A>(
        self,
        route: impl Into<Route>,
        context: Context<S>,
        handler: F,
    ) -> HttpBuilder<RouteList>
    where
        S: 'static,
        F: Fn(&mut S, &Request<'_>) -> A + Send + 'static,
        A: Respond,
    {
        self.on(Method::Put, route, context, handler)
    }

    /// Has `handler`, in `context`, answer DELETE requests for a path.
    pub fn delete<S, F, A>(
        self,
        route: impl Into<Route>,
        context: Context<S>,
        handler: F,
    ) -> HttpBuilder<RouteList>
    where
        S: 'static,
        F: Fn(&mut S, &Request<'_>) -> A + Send + 'static,
        A: Respond,
    {
        self.on(Method::Delete, route, context, handler)
    }

    /// Has `handler`, in `context`, answer PATCH requests for a path.
    pub fn patch<S, F, A>(
        self,
        route: impl Into<Route>,
        context: Context<S>,
        handler: F,
    ) -> HttpBuilder<RouteList>
    where
        S: 'static,
        F: Fn(&mut S, &Request<'_>) -> A + Send + 'static,
        A: Respond,
    {
        self.on(Method::Patch, route, context, handler)
    }

    /// Has `handler`, in `context`, answer requests of a method for a path.
    pub fn on<S, F, A>(
        self,
        method: Method,
        route: impl Into<Route>,
        context: Context<S>,
        handler: F,
    ) -> HttpBuilder<RouteList>
    where
        S: 'static,
        F: Fn(&mut S, &Request<'_>) -> A + Send + 'static,
        A: Respond,
    {
        let attach: Attach =
            Box::new(move |calls, route| handler::attach(calls, route, context, handler));
        self.declare(method, route.into().whole(), Some(attach))
    }

    /// Has each request of a method for a path served by an [`Exchange`] of its own, made in the event memory of
    /// `context`: its body comes in pieces, and its reply may go in pieces.
    pub fn each<T, S>(
        self,
        method: Method,
        route: impl Into<Route>,
        context: Context<S>,
    ) -> HttpBuilder<RouteList>
    where
        T: Exchange<S>,
        S: 'static,
    {
        let attach: Attach =
            Box::new(move |calls, route| each::attach::<T, S>(calls, route, context));
        self.declare(method, route.into().in_pieces(), Some(attach))
    }

    /// Declares a route without a handler; that is [attached](HttpServer::attach) later, as by the constructor of a context that
    /// is restarted. Until then clients are told 503.
    pub fn unattached(self, method: Method, route: impl Into<Route>) -> HttpBuilder<RouteList> {
        self.declare(method, route.into(), None)
    }

    fn declare(
        self,
        method: Method,
        route: Route,
        attach: Option<Attach>,
    ) -> HttpBuilder<RouteList> {
        let Self { system, port, site, limits, connections, buffers, requests, priority, routes } =
            self;
        let mut routes = routes.into();
        routes.0.push(Declaration { method, route, attach });
        HttpBuilder { system, port, site, limits, connections, buffers, requests, priority, routes }
    }
}

impl HttpBuilder {
    /// Opens the port.
    ///
    /// # Errors
    /// [`Error::Http`] with what is wrong with the site; those of
    /// [`ListenBuilder::serve`](crate::net::ListenBuilder::serve).
    pub fn serve(self) -> Result<HttpServer, Error> {
        let connections = self.most_connections();
        Ok(self.start(connections, 0, SiteAlone)?.0)
    }
}

impl HttpBuilder<RouteList> {
    /// Opens the port.
    ///
    /// # Errors
    /// [`Error::Http`] with the paths when routes clash, or one is none, or with what is wrong with the site; those of [`ListenBuilder::serve`](crate::net::ListenBuilder::serve).
    pub fn serve(mut self) -> Result<HttpServer, Error> {
        let (kernel, connections) = (self.system.kernel(), self.most_connections());
        let declared = core::mem::take(&mut self.routes.0);
        let routes: Vec<_> = declared.iter().map(|one| (one.method, one.route)).collect();
        let plain: Vec<_> = declared.iter().map(|one| one.route).collect();
        let calls: &'static Calls = Box::leak(Box::new(Calls::new(kernel, connections, &plain)));
        let routed = Routed::new(&routes, Dispatcher(calls))?;
        let requests = self.requests.unwrap_or(REQUESTS.max(connections * REQUEST));
        let priority = self.priority;
        let (mut server, context) = self.start(connections, requests, routed)?;
        calls.pool.call_once(|| context.1);
        let registration = Registration { priority, ..Registration::default() };
        let event = kernel.register(context.0.inner, registration, move |web, activation| {
            let web: &mut Web<Routed<Dispatcher>> = web;
            web.take_answers(calls, activation.event);
        })?;
        calls.answered.call_once(|| event);
        server.routes = declared
            .iter()
            .map(|one| Declared { method: one.method, path: one.route.path() })
            .collect();
        server.calls = Some(calls);
        for (number, one) in declared.into_iter().enumerate() {
            one.attach.map_or(Ok(()), |attach| attach(calls, number))?;
        }
        Ok(server)
    }
}

type Served<R> = (Context<Web<R>>, &'static reflex_memory::Pool);

impl<L> HttpBuilder<L> {
    fn most_connections(&self) -> usize {
        let each = self.buffers.0 + self.buffers.1 + BESIDE_BUFFERS;
        let affordable = self.system.available_memory() / 2 / each;
        self.connections.unwrap_or(affordable.clamp(16, USUAL_CONNECTIONS))
    }

    fn start<R: Routes + Send + 'static>(
        self,
        connections: usize,
        requests: usize,
        routes: R,
    ) -> Result<(HttpServer, Served<R>), Error>
    where
        Web<R>: Send,
    {
        let Self { system, port, buffers, priority, .. } = self;
        let large_heads = self.limits.large_heads.max(connections.div_ceil(64));
        let limits = Limits { large_heads, ..self.limits };
        let service =
            Service::with_routes(self.site, routes, limits, connections, unix_time(system))?;
        let counters = Arc::new(Ceiling::new(Default::default()));
        let context = system
            .context("web", Web::new(system, service, counters.clone()))
            .memory((64 << 10) + connections * HANDLER + requests)
            .priority(priority)
            .build()?;
        system.every(Duration::from_secs(1)).on(context, Web::tick)?;
        let listener = system
            .tcp(port)
            .connections(connections as u32)
            .backlog(connections as u32)
            .buffers(buffers.0, buffers.1)
            .priority(priority)
            .queue(0)
            .serve(context)?;
        let listener = Arc::new(listener);
        let ours = listener.clone();
        // What is in hand is answered, and a silent client is not waited for.
        system.on_shutdown(context, move |web, _| {
            ours.close();
            web.shut_down();
        })?;
        let pool = system.pool(context)?;
        let server = HttpServer { system, listener, counters, routes: Vec::new(), calls: None };
        Ok((server, (context, pool)))
    }
}
