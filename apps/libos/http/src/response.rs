//! Writing response heads.

use crate::cursor::Cursor;
use crate::date::Date;
use crate::plan::{Answer, Body, Plan};
use crate::status::Status;
use crate::{File, Site};

/// What comes before the text of the date in a response of status 200.
pub(crate) const BEFORE_DATE: usize = Status::Ok.line().len() + DATE.len();

const DATE: &[u8] = b"Date: ";
pub(crate) const SERVER: &[u8] = b"Server: reflex\r\n";

/// Told to a client that waits before it sends its body.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Writes the head of the response that `plan` says, and returns the body that follows it.
pub(crate) fn write(out: &mut Cursor<'_>, plan: &Plan, site: &Site, date: &Date) -> &'static [u8] {
    let content = answer(out, plan.answer, site, date);
    out.put(plan.persistence.field());
    out.put(b"\r\n");
    match plan.body {
        Body::Sent => content,
        Body::Omitted => b"",
    }
}

/// Writes the status and the fields that an answer has, and returns the body that goes with it.
fn answer(out: &mut Cursor<'_>, answer: Answer, site: &Site, date: &Date) -> &'static [u8] {
    match answer {
        Answer::File(index) => {
            let file = site.file(index);
            begin(out, Status::Ok, date);
            describe(out, file, file.content.len());
            file.content
        }
        Answer::Part { file, first, last } => {
            let file = site.file(file);
            begin(out, Status::PartialContent, date);
            describe(out, file, last - first + 1);
            out.put(b"Content-Range: bytes ");
            out.put_number(first as u64);
            out.put(b"-");
            out.put_number(last as u64);
            out.put(b"/");
            out.put_number(file.content.len() as u64);
            out.put(b"\r\n");
            file.content.get(first..=last).unwrap_or_default()
        }
        Answer::NotModified(index) => {
            begin(out, Status::NotModified, date);
            tag(out, site.file(index));
            b""
        }
        Answer::Unsatisfiable(index) => {
            begin(out, Status::RangeNotSatisfiable, date);
            out.put(b"Content-Range: bytes */");
            out.put_number(site.file(index).content.len() as u64);
            out.put(b"\r\n");
            plain_text(out, Status::RangeNotSatisfiable)
        }
        Answer::Moved(location) => {
            begin(out, Status::MovedPermanently, date);
            out.put(b"Location: ");
            out.put(location.as_bytes());
            out.put(b"\r\n");
            plain_text(out, Status::MovedPermanently)
        }
        Answer::Told(status, line) => {
            begin(out, status, date);
            out.put(line.as_bytes());
            if status == Status::NoContent { b"" } else { plain_text(out, status) }
        }
        Answer::Status(status) => {
            begin(out, status, date);
            state(out, status, site)
        }
    }
}

/// Writes the fields that a status has by itself, and returns its body: the site's page, if it has one.
fn state(out: &mut Cursor<'_>, status: Status, site: &Site) -> &'static [u8] {
    match (status, site.not_found) {
        (Status::NotFound, Some(page)) => {
            let page = site.file(page);
            content(out, page.content_type.as_bytes(), page.content.len());
            return page.content;
        }
        (Status::MethodNotAllowed, _) => out.put(b"Allow: GET, HEAD\r\n"),
        (Status::ServiceUnavailable, _) => out.put(b"Retry-After: 1\r\n"),
        _ => {}
    }
    plain_text(out, status)
}

fn begin(out: &mut Cursor<'_>, status: Status, date: &Date) {
    out.put(status.line());
    if let Some(text) = date.text() {
        out.put(DATE);
        out.put(text);
        out.put(b"\r\n");
    }
    out.put(SERVER);
}

fn describe(out: &mut Cursor<'_>, file: &File, length: usize) {
    content(out, file.content_type.as_bytes(), length);
    tag(out, file);
    out.put(b"Accept-Ranges: bytes\r\n");
}

fn tag(out: &mut Cursor<'_>, file: &File) {
    out.put(b"ETag: ");
    out.put(file.etag.as_bytes());
    out.put(b"\r\n");
}

fn plain_text(out: &mut Cursor<'_>, status: Status) -> &'static [u8] {
    content(out, b"text/plain; charset=utf-8", status.text().len());
    status.text()
}

fn content(out: &mut Cursor<'_>, content_type: &[u8], length: usize) {
    out.put(b"Content-Type: ");
    out.put(content_type);
    out.put(b"\r\nContent-Length: ");
    out.put_number(length as u64);
    out.put(b"\r\n");
}
