//! An HTTP API: notes on port 2006, as JSON.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{collections::BTreeMap, format, string::String};
use reflex::http::{Refusal, Reply, Request, Route};
use reflex::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Note {
    title: String,
    #[serde(default)]
    done: bool,
}

#[derive(Default)]
struct Notes {
    last: u32,
    all: BTreeMap<u32, Note>,
}

#[reflex::main]
fn main(system: System) -> Result {
    let notes = system.context("notes", Notes::default()).build()?;
    system
        .http(2006)
        .get("/v1/notes", notes, Notes::list)
        .post(Route::new("/v1/notes").body_limit(4096), notes, Notes::add)
        .get("/v1/notes/:id", notes, Notes::show)
        .delete("/v1/notes/:id", notes, Notes::forget)
        .serve()?;
    Ok(())
}

impl Notes {
    fn list(&mut self, request: &Request<'_>) -> Result<Reply, Refusal> {
        let most = request.query_or_none("most")?.unwrap_or(usize::MAX);
        let first: BTreeMap<_, _> = self.all.iter().take(most).collect();
        Ok(Reply::ok().json(&first))
    }

    fn add(&mut self, request: &Request<'_>) -> Result<Reply, Refusal> {
        let note: Note = request.json()?;
        self.last += 1;
        let reply = Reply::created(format!("/v1/notes/{}", self.last)).json(&note);
        self.all.insert(self.last, note);
        Ok(reply)
    }

    fn show(&mut self, request: &Request<'_>) -> Result<Option<Reply>, Refusal> {
        Ok(self.all.get(&request.path("id")?).map(|note| Reply::ok().json(note)))
    }

    fn forget(&mut self, request: &Request<'_>) -> Result<Option<()>, Refusal> {
        Ok(self.all.remove(&request.path("id")?).map(drop))
    }
}
