//! What applications are told, held against what was posted and asked for.

use super::*;

impl Program {
    /// What applications have been told.
    pub(super) fn collect(&mut self) {
        for at in 0..self.lives.len() {
            let Life { host, context, alive, .. } = self.lives[at];
            let kernel = &self.world.hosts[host].kernel;
            let (done, happened) = kernel.state(context, |app| {
                (std::mem::take(&mut app.done), std::mem::take(&mut app.happened))
            });
            for done in done {
                self.complete(done);
            }
            for (connection, what) in happened {
                self.happen(at, connection, what, alive);
            }
        }
    }

    pub(super) fn complete(&mut self, done: Done) {
        let post = self.posts.remove(&done.id).expect("complete once, and only what was posted");
        let link = &mut self.links[post.link];
        if done.status != Status::Success {
            link.certain = false;
            return;
        }
        if let Some(answer) = post.answer
            && link.certain
        {
            assert_eq!(done.bytes, answer, "{:?}", done.kind);
        }
        if done.kind.is_receive() {
            let sent = &mut link.on_the_way[post.end];
            let found = sent.iter().position(|it| *it == done.bytes);
            let transport = link.transport;
            let at = found.unwrap_or_else(|| panic!("received, but not sent: {transport:?}"));
            // Others come in any order, and twice if the network has it so.
            if transport == Transport::Reliable {
                assert_eq!(at, 0, "in order, without a gap");
                sent.pop_front();
            }
        }
    }

    pub(super) fn happen(
        &mut self,
        life: usize,
        connection: Connection,
        what: ConnectionChange,
        alive: bool,
    ) {
        if let ConnectionChange::Requested { data, .. } = what {
            let (link, _) = data.as_bytes().split_first_chunk().unwrap();
            let link = u32::from_ne_bytes(*link) as usize;
            assert_eq!(self.links[link].lives[1], life);
            let mut talk = Talk::new(life, connection, link, false);
            talk.ended = !alive;
            self.talks.push(talk);
            return;
        }
        let known = |it: &&mut Talk| it.life == life && it.connection == connection;
        let talk = self.talks.iter_mut().find(known).expect("only what was asked for or requested");
        assert!(!talk.ended, "nothing after the end: {what:?}");
        talk.history.push(format!("{what:?}"));
        talk.ended = !matches!(what, ConnectionChange::Connected { .. });
    }
}
