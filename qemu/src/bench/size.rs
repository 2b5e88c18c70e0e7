//! `size`: bytes of the stripped web server image.

use std::fs;

use anyhow::{Context, Result};

use super::Report;
use super::figure::{Figure, Goal};
use crate::build;
use crate::image::strip;

const IMAGE: &str = "httpd";
const GOAL: f64 = 300e3;

/// Measures the file that `cargo reflex image` writes.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let image = build::image(IMAGE)?;
    let bytes = fs::read(&image).with_context(|| image.display().to_string())?;
    let stripped = strip(bytes)?.len();
    report.add(
        Figure::new("size", format!("{IMAGE}, stripped"), stripped as f64, "bytes")
            .parameter("command", format!("cargo reflex image {IMAGE}"))
            .goal(Goal::AtMost(GOAL)),
    );
    Ok(())
}
