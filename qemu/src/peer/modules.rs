//! Kernel modules and the order of loading them.
//!
//! Debian's kernel package comes without `modules.dep`; the dependencies stand in each module
//! itself, in its `.modinfo` section.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kernel::decompress;

/// One module: its name as the kernel's (underscores), and its ELF file.
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) contents: Vec<u8>,
}

/// The modules in a kernel package.
pub(crate) struct Modules {
    files: HashMap<String, PathBuf>,
    /// Paths of the modules compiled into the kernel, as `modules.builtin` lists them.
    builtin: String,
}

impl Modules {
    /// Those of the kernel `release` unpacked in `root`.
    pub(crate) fn new(root: &Path, release: &str) -> Result<Self> {
        let directory = root.join("lib/modules").join(release);
        let directory =
            if directory.exists() { directory } else { root.join("usr/lib/modules").join(release) };
        let mut files = HashMap::new();
        find(&directory.join("kernel"), &mut files)?;
        let builtin = fs::read_to_string(directory.join("modules.builtin")).unwrap_or_default();
        Ok(Self { files, builtin })
    }

    /// `names` and what they depend on, each after its own dependencies.
    pub(crate) fn in_order(&self, names: &[&str]) -> Result<Vec<Module>> {
        let mut order = Vec::new();
        for name in names {
            self.visit(name, &mut order)?;
        }
        Ok(order)
    }

    fn visit(&self, name: &str, order: &mut Vec<Module>) -> Result<()> {
        let name = name.replace('-', "_");
        if order.iter().any(|module| module.name == name) || self.is_builtin(&name) {
            return Ok(());
        }
        let path =
            self.files.get(&name).with_context(|| format!("the kernel has no module {name}"))?;
        let mut contents = fs::read(path)?;
        if !contents.starts_with(b"\x7fELF") {
            contents = decompress(&contents)?;
        }
        for dependency in depends(&contents) {
            self.visit(&dependency, order)?;
        }
        order.push(Module { name, contents });
        Ok(())
    }

    fn is_builtin(&self, name: &str) -> bool {
        self.builtin.lines().any(|path| module_name(Path::new(path)).as_deref() == Some(name))
    }
}

fn find(directory: &Path, files: &mut HashMap<String, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("no modules in {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some(name) = module_name(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `virtio_net` for `.../virtio-net.ko` and `.../virtio-net.ko.xz`.
fn module_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, compression) = file.split_once(".ko")?;
    matches!(compression, "" | ".xz" | ".zst" | ".gz").then(|| name.replace('-', "_"))
}

/// The `depends=a,b` entry of a module's information: strings that end in zero bytes.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[start + KEY.len()..].split(|&byte| byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_paths() {
        let name = |path| module_name(Path::new(path));
        assert_eq!(name("kernel/a/virtio-net.ko").as_deref(), Some("virtio_net"));
        assert_eq!(name("kernel/a/crc32c.ko.xz").as_deref(), Some("crc32c"));
        assert_eq!(name("modules.builtin"), None);
        assert_eq!(name("x.koala"), None);
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let root = tempfile::tempdir().unwrap();
        let kernel = root.path().join("lib/modules/1/kernel");
        fs::create_dir_all(&kernel).unwrap();
        let module = |name: &str, depends: &str| {
            let contents = format!("\x7fELF..\0depends={depends}\0name={name}\0");
            fs::write(kernel.join(format!("{name}.ko")), contents).unwrap();
        };
        module("top", "left,right");
        module("left", "base");
        module("right", "base,built-in");
        module("base", "");
        fs::write(kernel.parent().unwrap().join("modules.builtin"), "kernel/built-in.ko\n")
            .unwrap();
        let modules = Modules::new(root.path(), "1").unwrap();
        let order = modules.in_order(&["top", "base"]).unwrap();
        let names: Vec<_> = order.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["base", "left", "right", "top"]);
        assert!(modules.in_order(&["missing"]).is_err());
    }
}
