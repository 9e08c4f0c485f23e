//! How much of a large real history is followed. Where that history is not installed there is
//! nothing to measure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::show::{Recorder, show};
use crate::domain::foresight::{Dialect, Direction, EventKind, Followed, Migrations};
use crate::domain::revision::Revision;
use crate::engine::alembic::version_files::follow::Follower;
use crate::engine::alembic::version_files::{VersionFile, VersionFiles};

fn superset() -> Option<VersionFiles> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/python/superset/lib");
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

#[test]
#[expect(clippy::print_stdout, reason = "it is read by people")]
fn superset_is_followed() {
    let Some(files) = superset() else { return };
    let follower = Follower::new(&files);
    for direction in [Direction::Downgrade, Direction::Upgrade] {
        let (mut bodies, mut clear) = (0, 0);
        let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut slowest = Vec::new();
        let begin = Instant::now();
        for file in &files.files {
            let mut recorder = Recorder::on(Dialect::Postgresql);
            let id = file.revision.id.as_str().into();
            let start = Instant::now();
            let followed = follower.follow(&id, direction, &mut recorder);
            slowest.push((start.elapsed(), file.revision.id.clone()));
            assert!(!matches!(followed, Followed::Unreadable(_)), "{followed:?}");
            if followed == Followed::Missing {
                continue;
            }
            bodies += 1;
            let unknown: Vec<_> = recorder
                .events
                .iter()
                .filter(|event| matches!(event.kind, EventKind::Unknown { .. }))
                .collect();
            clear += u32::from(unknown.is_empty());
            for event in unknown {
                reasons
                    .entry(show(event))
                    .or_default()
                    .push(format!("{} ({})", file.revision.id, event.place.line));
            }
            if std::env::var("SHOW").is_ok_and(|shown| file.revision.id.contains(&shown)) {
                println!("{} {direction:?}", file.revision.id);
                for (line, event) in recorder.lines.iter().zip(&recorder.events) {
                    println!(
                        "  {}:{} {:?} {line}",
                        event.place.file,
                        event.place.line,
                        event.called_from.as_ref().map(|place| place.line)
                    );
                }
            }
        }
        println!(
            "{direction:?}: {bodies} bodies, {clear} without unknown, {:?}",
            begin.elapsed()
        );
        slowest.sort();
        for (time, id) in slowest.iter().rev().take(6) {
            println!("  {time:?} {id}");
        }
        for (reason, places) in reasons {
            println!(
                "  {} x {reason}: {}",
                places.len(),
                places[..places.len().min(4)].join(", ")
            );
        }
        assert!(clear * 100 >= bodies * 90);
    }
}
