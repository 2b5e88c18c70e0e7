//! What is true after each step, and in the end.

use super::*;

impl Program {
    /// What no work is about is untouched; the rest is what the model says, when all is done.
    pub(super) fn check_regions(&mut self) {
        for (at, link) in self.links.iter().enumerate() {
            let idle = !self.posts.values().any(|post| post.link == at && post.answer.is_none());
            for end in 0..2 {
                let Some(region) = &link.regions[end] else { continue };
                let mut found = vec![0; REGION];
                if region.read(0, &mut found).is_err() {
                    continue;
                }
                assert!(found[USED..].iter().all(|byte| *byte == 0));
                let done = !self.posts.values().any(|post| post.link == at);
                if link.certain && idle && done {
                    assert!(found == link.models[end], "a region is not what the model says");
                }
            }
        }
    }

    pub(super) fn finish(mut self) {
        self.world.set_faults(Faults::default());
        for host in &self.world.hosts {
            host.wire.lock().unwrap().buffers = 64;
        }
        self.world.run_for(Duration::from_secs(100));
        self.collect();
        self.check_regions();
        // All that was sent has come to an end by itself.
        let waits = |post: &&Post| post.sent && self.lives[post.life].alive;
        assert_eq!(self.posts.values().filter(waits).count(), 0, "sends hang");
        for talk in 0..self.talks.len() {
            let Talk { life, answered, connection, .. } = &mut self.talks[talk];
            if !*answered && self.lives[*life].alive {
                connection.disconnect().unwrap();
                *answered = true;
            }
        }
        for link in &mut self.links {
            (link.certain, link.pairs) = (false, [None, None]);
        }
        self.world.run_for(Duration::from_secs(400));
        self.collect();
        let left = self.posts.values().filter(|post| self.lives[post.life].alive).count();
        assert_eq!(left, 0, "work is not complete");
        let open =
            self.talks.iter().filter(|it| !it.ended && !it.rejected && self.lives[it.life].alive);
        let open: Vec<_> = open.collect();
        assert!(open.is_empty(), "connections have not ended: {open:?}");
        self.links.clear();
        self.world.settle();
        for life in &self.lives {
            let host = &self.world.hosts[life.host];
            let pool = host.kernel.pool(life.context).unwrap();
            assert_eq!(pool.available(), life.free, "memory is missing");
        }
        for host in &self.world.hosts {
            assert_eq!(host.frames.available(), host.frames_free, "frames are missing");
            assert_eq!(*host.live.lock().unwrap(), 3, "events are left");
        }
        self.check_places();
    }

    /// All places are free again.
    pub(super) fn check_places(&mut self) {
        for at in 0..self.lives.len() {
            if !self.lives[at].alive {
                continue;
            }
            let pairs: Vec<_> =
                std::iter::from_fn(|| self.build(at, Transport::Reliable)).collect();
            assert_eq!(pairs.len() as u32, QUEUE / (2 * DEPTH));
            // And all connections: more than these are refused, and told so.
            let Life { connections, host, context, .. } = &self.lives[at];
            let far = ("10.0.0.99".parse().unwrap(), 1);
            for pair in &pairs {
                connections.connect(pair, far, Connect::new()).unwrap();
            }
            self.world.settle();
            let kernel = &self.world.hosts[*host].kernel;
            let happened = kernel.state(*context, |app| std::mem::take(&mut app.happened));
            assert!(happened.is_empty(), "{happened:?}");
            drop(pairs);
            self.world.run_for(Duration::from_secs(400));
            let happened = kernel.state(*context, |app| std::mem::take(&mut app.happened));
            assert_eq!(happened.len() as u32, QUEUE / (2 * DEPTH));
        }
    }
}
