//! Linux out of its package: the uncompressed kernel, which boots by its PVH note.
//!
//! Under emulation a boot of `vmlinux` is more than twice as fast as one of the compressed
//! image, which would unpack itself first.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

/// The release of the one kernel in `root`, such as `6.1.0-56-amd64`.
pub(crate) fn release(root: &Path) -> Result<String> {
    for entry in fs::read_dir(root.join("boot")).context("no kernel was unpacked")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(release) = name.strip_prefix("vmlinuz-") {
            return Ok(release.into());
        }
    }
    bail!("the kernel's package has no boot/vmlinuz-*")
}

/// Writes the ELF file in `root`'s compressed kernel image to `out`.
pub(crate) fn extract(root: &Path, release: &str, out: &Path) -> Result<()> {
    let image = fs::read(root.join("boot").join(format!("vmlinuz-{release}")))?;
    let payload = payload(&image).context("the kernel image is no x86 boot image")?;
    let elf = decompress(payload)?;
    ensure!(elf.starts_with(b"\x7fELF"), "the kernel image holds no ELF file");
    fs::write(out, elf)?;
    Ok(())
}

/// In the setup header at 0x202.
const MAGIC: &[u8] = b"HdrS";
/// Version of the boot protocol, at 0x206, that has the payload's place.
const PAYLOAD_FIELDS_SINCE: u16 = 0x0208;

/// The compressed part of an x86 boot image, by its setup header (Linux's
/// `Documentation/arch/x86/boot.rst`: `setup_sects` at 0x1f1, `payload_offset` and
/// `payload_length` at 0x248 and 0x24c, counted from the protected-mode part).
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let bytes = image.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let version = u16::from_le_bytes(image.get(0x206..0x208)?.try_into().ok()?);
    if image.get(0x202..0x206)? != MAGIC || version < PAYLOAD_FIELDS_SINCE {
        return None;
    }
    let sectors = match image[0x1f1] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (sectors + 1) * 512 + word(0x248)?;
    image.get(start..start.checked_add(word(0x24c)?)?)
}

/// Decompresses by the program that fits the first bytes.
pub(crate) fn decompress(data: &[u8]) -> Result<Vec<u8>> {
    // The kernel's build appends the length: the stream ends before its data does.
    let program: &[&str] = match data {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => &["xz", "--decompress", "--single-stream"],
        [0x1f, 0x8b, ..] => &["gzip", "--decompress", "--quiet"],
        [0x28, 0xb5, 0x2f, 0xfd, ..] => &["zstd", "--decompress", "--quiet"],
        _ => bail!("compressed in a way this program does not know"),
    };
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .arg("--stdout")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{} is needed to unpack the kernel", program[0]))?;
    let mut input = child.stdin.take().context("no pipe")?;
    let output = thread::scope(|scope| {
        // A decompressor that has seen the end of its stream closes the pipe: no error.
        scope.spawn(move || input.write_all(data));
        child.wait_with_output()
    })?;
    // Trailing bytes make gzip and zstd end with a warning: judge by what came out.
    ensure!(!output.stdout.is_empty(), "{} failed: {}", program[0], output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot_image(sectors: u8, offset: u32, content: &[u8]) -> Vec<u8> {
        let start = (usize::from(sectors.max(1)) + 1) * 512 + offset as usize;
        let mut image = vec![0; start.max(0x260)];
        image[0x1f1] = sectors;
        image[0x202..0x206].copy_from_slice(MAGIC);
        image[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
        image[0x248..0x24c].copy_from_slice(&offset.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(content.len() as u32).to_le_bytes());
        image.extend_from_slice(content);
        image
    }

    #[test]
    fn the_payload_is_where_the_setup_header_says() {
        let image = boot_image(3, 100, b"payload");
        assert_eq!(payload(&image), Some(&b"payload"[..]));
    }

    #[test]
    fn a_payload_past_the_end_or_a_short_image_is_refused() {
        let mut image = boot_image(3, 100, b"payload");
        image.pop();
        assert_eq!(payload(&image), None);
        assert_eq!(payload(&image[..0x203]), None);
        let mut old = boot_image(3, 100, b"payload");
        old[0x206] = 0x07;
        assert_eq!(payload(&old), None);
    }

    #[test]
    fn trailing_bytes_do_not_spoil_a_gzip_stream() {
        let child = Command::new("sh").args(["-c", "printf abc | gzip; printf 1234"]).output();
        assert_eq!(decompress(&child.unwrap().stdout).unwrap(), b"abc");
        assert!(decompress(b"plain").is_err());
    }
}
