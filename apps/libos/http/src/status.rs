//! Status codes (RFC 9110, section 15).

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $line:literal),* $(,)?) => {
        /// The status of a response.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Status {
            $($(#[$doc])* $name),*
        }

        impl Status {
            /// The status line.
            pub(crate) const fn line(self) -> &'static [u8] {
                match self {
                    $(Self::$name => concat!("HTTP/1.1 ", $line, "\r\n").as_bytes()),*
                }
            }

            /// What a person is shown when the site has nothing better.
            pub(crate) const fn text(self) -> &'static [u8] {
                match self {
                    $(Self::$name => concat!($line, "\n").as_bytes()),*
                }
            }
        }
    };
}

statuses! {
    /// The whole file.
    Ok = "200 OK",
    /// Nothing but that it was done.
    NoContent = "204 No Content",
    /// The range asked for.
    PartialContent = "206 Partial Content",
    /// A directory asked for without its trailing slash.
    MovedPermanently = "301 Moved Permanently",
    /// The client has this already.
    NotModified = "304 Not Modified",
    /// Not a request as RFC 9112 has it, or one with ambiguous framing.
    BadRequest = "400 Bad Request",
    /// No such path.
    NotFound = "404 Not Found",
    /// A method of RFC 9110 or RFC 5789 that is not for this path.
    MethodNotAllowed = "405 Method Not Allowed",
    /// The request did not arrive in time.
    RequestTimeout = "408 Request Timeout",
    /// A chunked body.
    LengthRequired = "411 Length Required",
    /// If-Match names other content.
    PreconditionFailed = "412 Precondition Failed",
    /// A body over the limit.
    ContentTooLarge = "413 Content Too Large",
    /// A request line over the limit.
    UriTooLong = "414 URI Too Long",
    /// A body that is not what a route consumes.
    UnsupportedMediaType = "415 Unsupported Media Type",
    /// A range that lies wholly outside the file.
    RangeNotSatisfiable = "416 Range Not Satisfiable",
    /// An expectation other than `100-continue`.
    ExpectationFailed = "417 Expectation Failed",
    /// Header fields over the limit.
    FieldsTooLarge = "431 Request Header Fields Too Large",
    /// A handler failed.
    InternalServerError = "500 Internal Server Error",
    /// An unknown method or transfer coding.
    NotImplemented = "501 Not Implemented",
    /// No memory for a large head, or no handler at present.
    ServiceUnavailable = "503 Service Unavailable",
    /// Another major version than 1.
    VersionNotSupported = "505 HTTP Version Not Supported",
}
