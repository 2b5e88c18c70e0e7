//! The import graph, and what is wrong with one.

use cargo_metadata::{DependencyKind, Metadata};
use std::collections::BTreeSet;
use std::fmt;

/// What a package is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Host-testable logic: `no_std`, `forbid(unsafe_code)`, no statics.
    Pure,
    /// Memory: `no_std`, no statics, a few proven unsafe blocks.
    Memory,
    /// Touches the machine: `no_std`, unsafe where needed.
    Machine,
    /// Stands in for something in tests on the host.
    Fake,
    /// An image: depends on the facade alone.
    Application,
    /// An image that is to reach past what is allowed.
    UnsafeApplication,
    /// A program or a library of the host.
    Host,
}

/// What one package may import of the workspace, by normal and build dependencies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) package: &'static str,
    pub(crate) kind: Kind,
    pub(crate) imports: &'static [&'static str],
}

/// One dependency of a workspace package on another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Only for its tests, examples and benchmarks.
    pub(crate) development: bool,
}

/// The workspace's packages, and which depends on which.
#[derive(Clone, Default, Debug)]
pub(crate) struct Graph {
    pub(crate) packages: BTreeSet<String>,
    pub(crate) edges: BTreeSet<Edge>,
}

/// What is wrong with a graph.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The rules do not know the package.
    UnknownPackage(String),
    /// The rules know a package that is not there.
    MissingPackage(String),
    /// A package imports what it may not.
    Forbidden(Edge),
    /// The rules themselves lead in a circle through this package.
    Circle(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPackage(name) => write!(f, "{name}: no rule says what it may import"),
            Self::MissingPackage(name) => write!(f, "{name}: has a rule, but is no package"),
            Self::Forbidden(Edge { from, to, development: false }) => {
                write!(f, "{from} imports {to}, which it may not")
            }
            Self::Forbidden(Edge { from, to, development: true }) => {
                write!(f, "{from} imports {to} for its tests, which is no fake")
            }
            Self::Circle(name) => write!(f, "{name}: its rules lead back to it"),
        }
    }
}

impl Graph {
    /// The graph that Cargo tells. Dependencies are matched by path, so that a package of the
    /// same name from elsewhere is none of ours.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let members = metadata.workspace_packages();
        let home = |path: &cargo_metadata::camino::Utf8Path| {
            members.iter().find(|member| member.manifest_path.parent() == Some(path))
        };
        let mut graph = Self::default();
        for package in &members {
            let from = package.name.to_string();
            for dependency in &package.dependencies {
                let path = dependency.path.as_deref();
                let Some(to) = path.and_then(home) else { continue };
                let development = dependency.kind == DependencyKind::Development;
                let to = to.name.to_string();
                if development && to == from {
                    continue; // itself, with the features that its examples take
                }
                graph.edges.insert(Edge { from: from.clone(), to, development });
            }
            graph.packages.insert(from);
        }
        graph
    }

    /// Everything that is wrong with the graph by these rules.
    pub(crate) fn faults(&self, rules: &[Rule]) -> Vec<Fault> {
        let rule = |name: &str| rules.iter().find(|rule| rule.package == name);
        let mut faults = Vec::new();
        for package in self.packages.iter().filter(|package| rule(package).is_none()) {
            faults.push(Fault::UnknownPackage(package.clone()));
        }
        for rule in rules.iter().filter(|rule| !self.packages.contains(rule.package)) {
            faults.push(Fault::MissingPackage(rule.package.to_owned()));
        }
        for rule in rules.iter().filter(|rule| leads_back(rule, rules)) {
            faults.push(Fault::Circle(rule.package.to_owned()));
        }
        for edge in &self.edges {
            let Some(from) = rule(&edge.from) else { continue };
            let allowed = from.imports.contains(&edge.to.as_str());
            // Host programs have their dependencies for tests checked like the others. An image's are the facade
            // again, with what a simulated machine takes.
            let fake = rule(&edge.to).is_some_and(|to| to.kind == Kind::Fake);
            let again = matches!(from.kind, Kind::Host | Kind::Application) && allowed;
            let for_tests = edge.development && (fake || again);
            if !for_tests && (!allowed || edge.development && from.kind != Kind::Host) {
                faults.push(Fault::Forbidden(edge.clone()));
            }
        }
        faults
    }
}

/// Whether what `rule` allows leads to its own package.
fn leads_back(rule: &Rule, rules: &[Rule]) -> bool {
    let mut reached: Vec<&str> = rule.imports.to_vec();
    let mut next = 0;
    while let Some(&name) = reached.get(next) {
        next += 1;
        if name == rule.package {
            return true;
        }
        let further = rules.iter().find(|rule| rule.package == name);
        for import in further.map_or(&[][..], |rule| rule.imports) {
            if !reached.contains(import) {
                reached.push(import);
            }
        }
    }
    false
}
