//! The crates import what the architecture says, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::source;

/// The crates of ours that each crate depends on, by the names of their folders.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let folders = fs::read_dir(source().join("crates")).expect("the crates");
    let folders: Vec<_> = folders
        .map(|entry| entry.expect("a crate").path())
        .collect();
    let manifests: Vec<(String, toml::Table)> = folders
        .iter()
        .map(|folder| {
            let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
            let name = folder.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), text.parse().expect("TOML"))
        })
        .collect();
    let package = |manifest: &toml::Table| manifest["package"]["name"].as_str().map(str::to_owned);
    let folder_of: BTreeMap<String, &String> = manifests
        .iter()
        .filter_map(|(folder, manifest)| Some((package(manifest)?, folder)))
        .collect();
    manifests
        .iter()
        .map(|(folder, manifest)| {
            let all = manifest.get("dependencies").and_then(toml::Value::as_table);
            let ours = all.into_iter().flatten();
            let ours = ours.filter_map(|(name, _)| folder_of.get(name).map(ToString::to_string));
            (folder.clone(), ours.collect())
        })
        .collect()
}

/// Turns red if a crate imports another one than the table of docs/architecture.md says.
#[test]
fn the_crates_import_what_the_architecture_says() {
    let page = fs::read_to_string(source().join("docs/architecture.md")).expect("the page");
    let told: BTreeMap<String, BTreeSet<String>> = page
        .lines()
        .filter_map(|line| {
            let (folder, rest) = line.strip_prefix("| [crates/")?.split_once(']')?;
            let imports = rest.trim_end_matches([' ', '|']).rsplit(" | ").next()?;
            let known = imports.split([',', ';']).map(str::trim);
            let known = known.filter(|name| source().join("crates").join(name).is_dir());
            Some((
                folder.to_owned(),
                known
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ))
        })
        .collect();
    assert_eq!(told, dependencies());
}
