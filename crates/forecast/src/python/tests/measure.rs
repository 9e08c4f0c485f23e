//! How much of a large real history is followed, if that is installed, as it is under `make test`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::show::{Recorder, show};
use crate::python::Follower;
use crate::{Direction, Event, EventKind, Followed, Migrations};
use python_source::version_file::{VersionFile, VersionFiles};
use rollback_core::dialect::Dialect;
use rollback_core::revision::Revision;

fn superset() -> Option<VersionFiles> {
    let cache =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(".cache/python/superset/lib");
    let python = std::fs::read_dir(cache).ok()?.flatten().next()?.path();
    let versions = python.join("site-packages/superset/migrations/versions");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(versions)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "py"))
        .collect();
    paths.sort();
    let files = paths
        .into_iter()
        .filter_map(|path| {
            let source = std::fs::read_to_string(&path).ok()?;
            let id = path.file_stem()?.to_string_lossy().into_owned();
            Some(VersionFile {
                revision: Revision {
                    path: Some(path.file_name()?.to_string_lossy().into_owned()),
                    id,
                    ..Revision::default()
                },
                path,
                source: source.into(),
            })
        })
        .collect();
    Some(VersionFiles {
        files,
        unread: std::collections::HashMap::new(),
        roots: Vec::new(),
        may_autocommit: false,
    })
}

/// Turns red if much of it is followed no longer.
#[test]
fn superset_is_followed() {
    let Some(files) = superset() else {
        // Set by `make test`, which installs it.
        assert!(std::env::var_os("ROLLBACK_TEST_WHOLE").is_none());
        return;
    };
    let follower = Follower::new(&files);
    for direction in [Direction::Downgrade, Direction::Upgrade] {
        let (mut bodies, mut clear) = (0, 0);
        let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for file in &files.files {
            let mut recorder = Recorder::on(Dialect::Postgres);
            let id = file.revision.id.as_str().into();
            let followed = follower.follow(&id, direction, &mut recorder);
            assert!(!matches!(followed, Followed::Unreadable(_)), "{followed:?}");
            if followed == Followed::Missing {
                continue;
            }
            bodies += 1;
            let is_unknown = |event: &&Event| matches!(event.kind, EventKind::Unknown { .. });
            let unknown: Vec<&Event> = recorder.events.iter().filter(is_unknown).collect();
            clear += u32::from(unknown.is_empty());
            for event in unknown {
                let places = reasons.entry(show(event)).or_default();
                places.push(&file.revision.id);
            }
        }
        assert!(bodies > 0, "no version file was found");
        assert!(
            clear * 100 >= bodies * 90,
            "{direction:?}: {clear} of {bodies} without unknown: {reasons:#?}"
        );
    }
}
