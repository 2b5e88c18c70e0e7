//! What an image is made of: a bill of materials beside it, in CycloneDX's JSON (version 1.5). Equal images have equal
//! bills: neither a date nor a folder is in one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::process;
use crate::project::Image;

/// What images are compiled for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where the bill of a file lies.
pub(super) fn place(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".cdx.json");
    name.into()
}

/// The bill of a file with an image in it, and with these packages of Debian.
///
/// # Errors
/// When Cargo cannot say what the image stands on.
pub(super) fn write(image: &Image, file: &[u8], packages: &[String]) -> Result<Vec<u8>> {
    let mut command = MetadataCommand::new();
    command.manifest_path(&image.manifest).features(CargoOpt::SomeFeatures(Vec::new()));
    command.other_options(["--filter-platform".to_owned(), TARGET.to_owned()]);
    // Cargo may have something to download.
    let metadata = process::outside(move || command.exec());
    let metadata = metadata.context("cargo cannot say what the image stands on")?;
    let root = metadata.packages.iter().find(|package| *package.name == image.package);
    let root = root.with_context(|| format!("cargo knows no package `{}`", image.package))?;
    let bill = bill(&metadata, root, &image.name, file, packages)?;
    Ok([serde_json::to_vec_pretty(&bill)?, b"\n".to_vec()].concat())
}

fn bill(
    metadata: &Metadata,
    root: &Package,
    name: &str,
    file: &[u8],
    packages: &[String],
) -> Result<Value> {
    let edges = edges(metadata)?;
    let linked = closure(&edges, &root.id);
    let by_id = |id: &PackageId| metadata.packages.iter().find(|package| package.id == *id);
    let libraries: Vec<&Package> =
        linked.iter().filter(|id| **id != root.id).filter_map(by_id).collect();
    let reference = |package: &Package| format!("pkg:cargo/{}@{}", package.name, package.version);
    let mut components: Vec<Value> = libraries.iter().map(|package| library(package)).collect();
    components.extend(packages.iter().filter_map(|package| of_debian(package)));
    let dependencies: Vec<Value> = linked.iter().filter_map(by_id).map(|package| {
        let on = edges.get(&package.id).into_iter().flatten().filter_map(by_id);
        json!({ "ref": reference(package), "dependsOn": on.map(reference).collect::<BTreeSet<_>>() })
    }).collect();
    let hash: String = Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "firmware",
                "bom-ref": reference(root),
                "name": name,
                "version": root.version.to_string(),
                "hashes": [{ "alg": "SHA-256", "content": hash }],
                "licenses": licenses(root),
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn library(package: &Package) -> Value {
    let reference = format!("pkg:cargo/{}@{}", package.name, package.version);
    let mut value = json!({
        "type": "library",
        "bom-ref": reference,
        "name": package.name.to_string(),
        "version": package.version.to_string(),
        "licenses": licenses(package),
    });
    // What is of no registry has no name there.
    if package.source.is_some() {
        value["purl"] = reference.into();
    }
    value
}

fn licenses(package: &Package) -> Value {
    match &package.license {
        // Cargo's older way to write an alternative.
        Some(license) => json!([{ "expression": license.replace('/', " OR ") }]),
        None => json!([]),
    }
}

/// A package of Debian's, by the name of its file: `NAME_VERSION_ARCHITECTURE`.
fn of_debian(file: &str) -> Option<Value> {
    let (name, rest) = file.split_once('_')?;
    let (version, architecture) = rest.rsplit_once('_')?;
    let version = version.replace("%3a", ":");
    let reference = format!("pkg:deb/debian/{name}@{version}?arch={architecture}");
    Some(json!({
        "type": "application",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
    }))
}

/// What each package is linked with.
fn edges(metadata: &Metadata) -> Result<BTreeMap<PackageId, Vec<PackageId>>> {
    let resolve = metadata.resolve.as_ref().context("cargo has resolved nothing")?;
    let normal = |kinds: &[cargo_metadata::DepKindInfo]| {
        kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
    };
    let edges = resolve.nodes.iter().map(|node| {
        let on = node.deps.iter().filter(|on| normal(&on.dep_kinds)).map(|on| on.pkg.clone());
        (node.id.clone(), on.collect())
    });
    let edges: BTreeMap<PackageId, Vec<PackageId>> = edges.collect();
    ensure!(!edges.is_empty(), "cargo has resolved nothing");
    Ok(edges)
}

/// A package, and all that it stands on.
fn closure(edges: &BTreeMap<PackageId, Vec<PackageId>>, root: &PackageId) -> BTreeSet<PackageId> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.clone()];
    while let Some(package) = open.pop() {
        if found.insert(package.clone()) {
            open.extend(edges.get(&package).into_iter().flatten().cloned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::checkout;
    use crate::project::Project;

    #[test]
    fn an_image_is_what_it_links_and_nothing_else() {
        let project = Project::at(checkout()).unwrap();
        let image = project.image(Some("hello")).unwrap();
        let grub = ["grub-pc-bin_2.06-13%3a1_amd64".to_owned()];
        let bytes = write(image, b"file", &grub).unwrap();
        assert_eq!(bytes, write(image, b"file", &grub).unwrap());
        let text = String::from_utf8(bytes).unwrap();
        let folder = checkout().to_str().unwrap();
        assert!(!text.contains(folder), "no folder is in it");
        let bill: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bill["bomFormat"], "CycloneDX");
        let hash = &bill["metadata"]["component"]["hashes"][0]["content"];
        assert_eq!(hash, "3b9c358f36f0a31b6ad3e14f309c7cf198ac9246e8316f9ce543d5b19ac02b80");
        let components = bill["components"].as_array().unwrap();
        let named = |name: &str| components.iter().find(|component| component["name"] == name);
        let smoltcp = named("smoltcp").expect("it is linked");
        assert_eq!(smoltcp["licenses"][0]["expression"], "0BSD");
        assert!(smoltcp["purl"].as_str().unwrap().starts_with("pkg:cargo/smoltcp@"));
        assert!(named("reflex-boot").is_some() && named("reflex-boot").unwrap()["purl"].is_null());
        assert_eq!(named("grub-pc-bin").unwrap()["version"], "2.06-13:1");
        assert!(named("proptest").is_none() && named("clap").is_none(), "those are the host's");
    }
}
