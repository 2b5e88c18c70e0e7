//! A layout as Rust source.

use crate::{Layout, Target};
use std::fmt::Write;

impl Layout {
    /// Source that defines `SITE`, a `Site` of what the including module knows as `http`.
    ///
    /// Content is included from where it lies, so the compiler notices when it changes.
    pub fn to_rust(&self) -> String {
        let mut source = String::from("/// The embedded site.\n");
        source.push_str("pub(crate) const SITE: http::Site = http::Site {\n    files: &[\n");
        for file in &self.files {
            line(&mut source, format_args!("        http::File {{"));
            let path = file.source.display().to_string();
            line(&mut source, format_args!("            content: include_bytes!({path:?}),"));
            line(&mut source, format_args!("            content_type: {:?},", file.content_type));
            line(&mut source, format_args!("            etag: {:?},", file.etag));
            line(&mut source, format_args!("        }},"));
        }
        source.push_str("    ],\n    entries: &[\n");
        for entry in &self.entries {
            let target = match &entry.target {
                Target::File(index) => format!("File({index})"),
                Target::Directory(location) => format!("Directory({location:?})"),
            };
            let path = &entry.path;
            line(
                &mut source,
                format_args!(
                    "        http::Entry {{ path: {path:?}, target: http::Target::{target} }},"
                ),
            );
        }
        line(&mut source, format_args!("    ],\n    not_found: {:?},\n}};", self.not_found));
        source
    }
}

fn line(source: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(source, "{text}").expect("a string takes everything");
}
