//! Making room in the shared tables. All that takes time in proportion to what is there is done
//! outside of sections, or in many; these are the cold paths of opening ports.

use crate::table::handle::Net;
use crate::table::index::NONE;
use crate::table::port::{Page, PortTable};
use crate::table::records::Records;
use crate::table::socket_record::UdpRecord;
use crate::table::tables::{Group, Shared};
use crate::types::error::Error;
use alloc::boxed::Box;
use alloc::vec::Vec;
use reflex_event::Kernel;

impl<K: Kernel> Net<K> {
    /// Adds a group of connections, which listens on `port` if there is one.
    pub(crate) fn add_group(&self, port: Option<u16>, group: Box<Group>) -> Result<u32, Error> {
        let connections = group.settings.connections as usize;
        let priority = group.settings.priority;
        let records = Vec::with_capacity(connections);
        let mut page = port.and_then(|port| self.page(|shared| &shared.ports, port));
        self.make_room(|shared| &mut shared.groups);
        self.make_room(|shared| shared.records.groups());
        self.grow_flows(connections);
        let (mut group, mut records) = (Some(group), Some(records));
        let index = self.with(|shared| {
            let index = shared.groups.len();
            if index == Records::GROUPS {
                return Err(Error::LimitReached);
            }
            if let Some(port) = port
                && !shared.ports.open(port, index as u32, &mut page)
            {
                return Err(Error::PortInUse);
            }
            group.take().into_iter().for_each(|group| shared.groups.push(group));
            records.take().into_iter().for_each(|records| shared.records.add_group(records));
            shared.priorities.add(priority);
            Ok(index as u32)
        });
        // What was not needed is dropped here: nobody's destructor runs while the tables are borrowed.
        drop((page, group, records));
        index
    }

    /// Adds a socket that is bound to `port`.
    pub(crate) fn add_socket(&self, port: u16, socket: Box<UdpRecord>) -> Result<u32, Error> {
        let mut page = self.page(|shared| &shared.udp_ports, port);
        self.make_room(|shared| &mut shared.sockets);
        let index = self.with(|shared| {
            let index = shared.sockets.len();
            if index == PortTable::MOST {
                return Err(Error::LimitReached);
            }
            if !shared.udp_ports.open(port, index as u32, &mut page) {
                return Err(Error::PortInUse);
            }
            shared.priorities.add(socket.priority);
            shared.sockets.push(socket);
            Ok(index as u32)
        });
        drop(page);
        index
    }

    /// A page for `port`, if the table needs one.
    pub(crate) fn page(
        &self,
        table: impl FnOnce(&Shared) -> &PortTable,
        port: u16,
    ) -> Option<Box<Page>> {
        self.with(|shared| table(shared).needs_page(port)).then(PortTable::page)
    }

    /// Makes room for one more in a directory: what is moved in a section is pointers.
    pub(crate) fn make_room<T>(&self, directory: impl Fn(&mut Shared) -> &mut Vec<T>) {
        let full = self.with(|shared| {
            let directory = directory(shared);
            (directory.len() == directory.capacity()).then_some(directory.len())
        });
        let Some(length) = full else { return };
        let mut larger = Vec::with_capacity((2 * length).max(4));
        self.with(|shared| {
            let directory = directory(shared);
            // Else somebody else has made room meanwhile.
            if directory.capacity() < larger.capacity() {
                larger.append(directory);
                core::mem::swap(directory, &mut larger);
            }
        });
    }

    /// Makes room in the flow table for `connections` more, with short chains.
    fn grow_flows(&self, connections: usize) {
        let wanted = self.with(|shared| {
            shared.places += connections;
            2 * shared.places.next_power_of_two()
        });
        let mut larger = None;
        while self.with(|shared| shared.flows.is_smaller_than(wanted)) {
            let buckets = larger.take().unwrap_or_else(|| alloc::vec![NONE; wanted]);
            // Refused while another context has it grow, which this one may have preempted.
            larger = self.with(|shared| shared.flows.grow(buckets)).err();
            self.move_flows();
        }
        self.move_flows();
    }

    /// Lets the flow table grow to its end, if it is growing.
    fn move_flows(&self) {
        while self.with(|shared| shared.flows.is_growing()) {
            drop(self.with(|shared| shared.flows.grow_step(&mut shared.records)));
        }
    }

    /// Drops the frames of connections that are over.
    pub(crate) fn drop_dead(&self) {
        while let Some(frame) = self.with(|shared| shared.frames.pop(&mut shared.dead)) {
            drop(frame);
        }
    }
}
