//! Which route a path belongs to.
//!
//! The patterns are turned into a tree at start-up in which nothing has to be tried twice: behind a literal there is
//! all that a parameter or a tail in its place would lead to, too. So a path takes one look-up for each of its
//! segments, and for no more than the longest pattern has, whatever routes there are.
//!
//! Where several patterns match, the first segment in which they differ decides: a literal before a parameter before
//! a tail.

use crate::route::error::RouteError;
use crate::route::method::Method;
use crate::route::pattern::{Segment, is_valid, segments};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Nodes of the tree at most: far more than routes that somebody has written down lead to.
const MOST_NODES: usize = 1 << 16;

/// All routes by their paths.
pub(crate) struct Table {
    nodes: Vec<Node>,
    resources: Vec<Resource>,
}

/// What is at the paths of one pattern.
pub(crate) struct Resource {
    /// The pattern.
    pub(crate) pattern: &'static str,
    /// The number of the route of each method.
    routes: [Option<u16>; Method::COUNT],
    /// The field that says which these are.
    pub(crate) allow: &'static str,
}

#[derive(Default)]
struct Node {
    /// Nodes behind segments of a known text, sorted.
    literals: Box<[(&'static str, u32)]>,
    /// The node behind any other segment.
    other: Option<u32>,
    /// What is at a path that ends here.
    end: Option<u16>,
    /// Nothing but that is at paths that go on from here.
    is_final: bool,
}

/// A pattern that paths match that have come to a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    resource: u16,
    /// The path is in the pattern's tail.
    in_tail: bool,
}

impl Resource {
    /// The number of the route that serves a method.
    pub(crate) fn route(&self, method: Method) -> Option<u16> {
        self.routes[method as usize]
    }
}

impl Table {
    /// Lays out `routes`; the number of one is its place among them.
    ///
    /// # Errors
    /// [`RouteError`].
    pub(crate) fn new(routes: &[(Method, &'static str)]) -> Result<Self, RouteError> {
        let mut table = Self { nodes: Vec::new(), resources: Vec::new() };
        for (number, &(method, pattern)) in routes.iter().enumerate() {
            if !is_valid(pattern) {
                return Err(RouteError::Pattern(pattern));
            }
            let number = u16::try_from(number).map_err(|_| RouteError::TooMany)?;
            table.add(number, method, pattern)?;
        }
        for resource in &mut table.resources {
            resource.allow = allow(resource).leak();
        }
        let all = (0..table.resources.len() as u16)
            .map(|resource| Candidate { resource, in_tail: false })
            .collect();
        table.grow(all, 0, &mut BTreeMap::new())?;
        Ok(table)
    }

    fn add(
        &mut self,
        number: u16,
        method: Method,
        pattern: &'static str,
    ) -> Result<(), RouteError> {
        let alike = |there: &&mut Resource| {
            let (one, two) = (segments(there.pattern), segments(pattern));
            one.clone().count() == two.clone().count()
                && one.zip(two).all(|(one, two)| one.is_alike(two))
        };
        let clash = |there| RouteError::Clash { method, first: there, second: pattern };
        match self.resources.iter_mut().find(alike) {
            Some(there) if there.pattern != pattern => Err(clash(there.pattern)),
            Some(there) => match &mut there.routes[method as usize] {
                Some(_) => Err(clash(there.pattern)),
                free => {
                    *free = Some(number);
                    Ok(())
                }
            },
            None => {
                let mut routes = [None; Method::COUNT];
                routes[method as usize] = Some(number);
                self.resources.push(Resource { pattern, routes, allow: "" });
                Ok(())
            }
        }
    }

    /// Makes the node of paths of `depth` segments that match all of `candidates`, and those behind it.
    fn grow(
        &mut self,
        candidates: Vec<Candidate>,
        depth: usize,
        made: &mut BTreeMap<(usize, Vec<Candidate>), u32>,
    ) -> Result<u32, RouteError> {
        let key = (depth, candidates);
        if let Some(&node) = made.get(&key) {
            return Ok(node);
        }
        if self.nodes.len() == MOST_NODES {
            return Err(RouteError::TooMany);
        }
        let number = self.nodes.len() as u32;
        self.nodes.push(Node::default());
        let candidates = &key.1;
        let ends = candidates.iter().filter(|it| it.in_tail || self.segment(**it, depth).is_none());
        let end = ends.map(|it| it.resource).min_by(|one, two| self.precedence(*one, *two));
        let is_final = depth > 0 && candidates.iter().all(|it| it.in_tail);
        let mut node = Node { end, is_final, ..Node::default() };
        if !is_final {
            let mut literals = Vec::new();
            for text in self.texts(candidates, depth) {
                let next = self.behind(candidates, depth, Some(text));
                literals.push((text, self.grow(next, depth + 1, made)?));
            }
            node.literals = literals.into_boxed_slice();
            let next = self.behind(candidates, depth, None);
            if !next.is_empty() {
                node.other = Some(self.grow(next, depth + 1, made)?);
            }
        }
        self.nodes[number as usize] = node;
        made.insert(key, number);
        Ok(number)
    }

    fn segment(&self, candidate: Candidate, depth: usize) -> Option<Segment> {
        segments(self.resources[usize::from(candidate.resource)].pattern).nth(depth)
    }

    /// The texts that make a difference: those of literals, and none, which is no parameter.
    fn texts(&self, candidates: &[Candidate], depth: usize) -> Vec<&'static str> {
        let open = candidates.iter().filter(|it| !it.in_tail);
        let texts = open.filter_map(|it| match self.segment(*it, depth)? {
            Segment::Literal(text) => Some(text),
            Segment::Parameter(_) => Some(""),
            Segment::Tail(_) => None,
        });
        let mut texts: Vec<_> = texts.collect();
        texts.sort_unstable_by_key(|text| (text.len(), *text));
        texts.dedup();
        texts
    }

    /// The candidates of which the next segment matches: this text, or any other than [`texts`](Self::texts).
    fn behind(&self, candidates: &[Candidate], depth: usize, text: Option<&str>) -> Vec<Candidate> {
        let next = |it: &Candidate| match self.segment(*it, depth) {
            _ if it.in_tail => Some(*it),
            Some(Segment::Literal(literal)) => (text == Some(literal)).then_some(*it),
            Some(Segment::Parameter(_)) => (text != Some("")).then_some(*it),
            Some(Segment::Tail(_)) => Some(Candidate { in_tail: true, ..*it }),
            None => None,
        };
        candidates.iter().filter_map(next).collect()
    }

    /// The first segment in which two patterns differ decides which comes first.
    fn precedence(&self, one: u16, two: u16) -> core::cmp::Ordering {
        let ranks = |resource: u16| {
            segments(self.resources[usize::from(resource)].pattern).map(Segment::rank)
        };
        ranks(one).cmp(ranks(two))
    }

    /// What is at `path`: absolute, and percent-decoded but for slashes and percent signs.
    pub(crate) fn find(&self, path: &[u8]) -> Option<&Resource> {
        let mut node = self.nodes.first()?;
        for segment in path.get(1..)?.split(|&byte| byte == b'/') {
            let order = |&(text, _): &(&str, u32)| {
                text.len().cmp(&segment.len()).then_with(|| text.as_bytes().cmp(segment))
            };
            let next = match node.literals.binary_search_by(order) {
                Ok(at) => node.literals[at].1,
                Err(_) => node.other?,
            };
            node = &self.nodes[next as usize];
            if node.is_final {
                break;
            }
        }
        Some(&self.resources[usize::from(node.end?)])
    }
}

fn allow(resource: &Resource) -> String {
    let mut line = String::from("Allow: ");
    for method in Method::ALL.into_iter().filter(|method| resource.route(*method).is_some()) {
        line += method.name();
        line += if method == Method::Get { ", HEAD, " } else { ", " };
    }
    line + "OPTIONS\r\n"
}

#[cfg(test)]
mod tests;
