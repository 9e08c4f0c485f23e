//! Backups on disk: `.rollback/backups/ID.sqlite` (`.dump`, `.sql`) and its manifest `ID.json`.
//!
//! Everything is written in a folder of its own, `ID.part`, synced, and moved to its place, the manifest last:
//! what has no manifest is no backup. The folder of one that is at work is locked by the kernel, so that a
//! killed one is known by a lock that nobody holds, and is cleared away by the next.

use std::cmp::Reverse;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use sha2::{Digest as _, Sha256};

use super::{Store, StoreError, sync};
use rollback_core::backup::{Manifest, VERSION};
use rollback_core::{failpoint, untrusted};
use rollback_system::files;

/// The name of the folder in that of the records.
const FOLDER: &str = "backups";

/// What the folder of one that is at work ends in.
const PART: &str = ".part";

/// The file in it that is locked.
const LOCK: &str = "lock";

/// So much is read at once.
const CHUNK: usize = 1 << 20;

/// What the folder holds.
#[derive(Debug, Default)]
pub struct ListedBackup {
    /// The backups, newest first.
    pub manifests: Vec<Manifest>,
    /// Manifests that cannot be read, a sentence each.
    pub damaged: Vec<String>,
}

/// Why a backup is not found.
#[derive(Debug, PartialEq, Eq)]
pub enum NotFound {
    /// No id begins so.
    None,
    /// Several do.
    Several(Vec<String>),
    /// A manifest that cannot be read may be of a newer one than this, the newest that can.
    NotSurelyLatest(String),
}

/// The folder of all backups of a project.
#[derive(Debug, Clone)]
pub struct BackupStore {
    store: Store,
    folder: PathBuf,
}

/// A folder for one backup while it is made, or for what a restore needs. It goes with this value.
#[derive(Debug)]
pub struct PendingBackup {
    id: String,
    number: u64,
    folder: PathBuf,
    place: PathBuf,
    _lock: File,
}

impl Store {
    /// The backups of the project.
    pub fn backups(&self) -> BackupStore {
        BackupStore {
            store: self.clone(),
            folder: self.root().join(FOLDER),
        }
    }
}

impl BackupStore {
    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a backup.
    pub fn file(&self, manifest: &Manifest) -> PathBuf {
        // A manifest that was tampered with leads to no other folder.
        let name = Path::new(&manifest.file).file_name();
        self.folder.join(name.unwrap_or_default())
    }

    /// All backups. What has no manifest is none.
    pub fn list(&self) -> Result<ListedBackup, StoreError> {
        let mut listed = ListedBackup::default();
        for path in self.names()? {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(manifest) => listed.manifests.push(manifest),
                Err(reason) => listed.damaged.push(format!("{}: {reason}", path.display())),
            }
        }
        // Those of older programs have no number and come last.
        let place = |manifest: &Manifest| {
            let Manifest { number, at, id, .. } = manifest;
            (*number, at.clone(), id.clone())
        };
        listed
            .manifests
            .sort_by_key(|manifest| Reverse(place(manifest)));
        Ok(listed)
    }

    /// A place to make a backup in. Clears away what killed ones left.
    pub fn begin(&self, id: &str) -> Result<PendingBackup, StoreError> {
        self.store.prepare(&self.folder)?;
        self.clear_away()?;
        let mut name = id.to_owned();
        let mut number = 2;
        loop {
            let part = self.folder.join(format!("{name}{PART}"));
            let taken = self.folder.join(format!("{name}.json")).exists();
            match fs::create_dir(&part) {
                Ok(()) if !taken => {
                    let lock = locked(&part)?;
                    return Ok(PendingBackup {
                        number: self.store.next_number()?,
                        id: name,
                        folder: part,
                        place: self.folder.clone(),
                        _lock: lock,
                    });
                }
                Ok(()) => fs::remove_dir(&part).map_err(|source| failed(&part, source))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(failed(&part, source)),
            }
            name = format!("{id}-{number}");
            number += 1;
        }
    }

    /// The bytes that the disk of the folder has left for us.
    pub fn free(&self) -> Result<u64, StoreError> {
        // Before the first backup there is no folder yet.
        let exists = |folder: &&Path| folder.exists();
        let folder = self.folder.ancestors().find(exists);
        let folder = folder.unwrap_or(&self.folder);
        let space = statvfs(folder).map_err(|error| failed(folder, error.into()))?;
        // They are narrower on other systems.
        #[expect(
            clippy::useless_conversion,
            reason = "their types differ from system to system"
        )]
        let (blocks, size) = (
            u64::from(space.blocks_available()),
            u64::from(space.fragment_size()),
        );
        Ok(blocks.saturating_mul(size))
    }

    /// Removes what a killed backup left: folders that nobody locks, and files that got no manifest any more.
    fn clear_away(&self) -> Result<(), StoreError> {
        let names = self.names()?;
        for path in &names {
            if path
                .extension()
                .is_some_and(|extension| extension == "part")
                && !is_locked(&path.join(LOCK))
            {
                // It may be gone meanwhile, by another who clears away.
                let _ = fs::remove_dir_all(path);
            }
        }
        for path in names {
            let of_a_backup = path.extension().is_some_and(|extension| {
                ["sqlite", "dump", "sql"]
                    .iter()
                    .any(|own| extension == *own)
            });
            let goes_on = path.with_extension("part").exists();
            if of_a_backup && !goes_on && !path.with_extension("json").exists() {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<PathBuf>, StoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(&self.folder, source)),
        };
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| failed(&self.folder, source))?;
        names.sort();
        Ok(names)
    }
}

impl ListedBackup {
    /// The backup whose id begins with what was typed, or the `latest`.
    pub fn find(&self, typed: &str) -> Result<&Manifest, NotFound> {
        if typed == "latest" {
            let newest = self.manifests.first().ok_or(NotFound::None)?;
            if !self.damaged.is_empty() {
                return Err(NotFound::NotSurelyLatest(newest.id.clone()));
            }
            return Ok(newest);
        }
        if let Some(exact) = self.manifests.iter().find(|found| found.id == typed) {
            return Ok(exact);
        }
        let mut found = self
            .manifests
            .iter()
            .filter(|manifest| !typed.is_empty() && manifest.id.starts_with(typed));
        match (found.next(), found.next()) {
            (None, _) => Err(NotFound::None),
            (Some(only), None) => Ok(only),
            (Some(one), Some(other)) => Err(NotFound::Several(
                [one, other]
                    .into_iter()
                    .chain(found)
                    .map(|manifest| manifest.id.clone())
                    .collect(),
            )),
        }
    }
}

impl PendingBackup {
    /// The id that the backup will have.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its place in the order of backups and runs.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The folder, its owner's alone.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file is to be written; an extension begins with its dot.
    pub fn file(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}{extension}", self.id))
    }

    /// Makes a backup of the file and its manifest. They are on the disk when this returns.
    pub fn finish(self, file: &Path, manifest: &Manifest) -> Result<(), StoreError> {
        let place = self.place.join(&manifest.file);
        // A client of a server may have left the mode and the syncing to us.
        files::own(file, OpenOptions::new().append(true))
            .and_then(|opened| {
                opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
                opened.sync_all()
            })
            .and_then(|()| fs::rename(file, &place))
            .map_err(|source| failed(file, source))?;
        failpoint::point("between_backup_and_manifest");
        let name = format!("{}.json", self.id);
        let draft = self.folder.join(&name);
        untrusted::pretty_json(manifest)
            .map_err(io::Error::from)
            .and_then(|text| {
                let mut written = files::create(&draft)?;
                written.write_all(format!("{text}\n").as_bytes())?;
                written.sync_all()
            })
            .and_then(|()| {
                // First the name of the file, then that of the manifest.
                File::open(&self.place)?.sync_all()?;
                fs::rename(&draft, self.place.join(name))
            })
            .map_err(|source| {
                let _ = fs::remove_file(&place);
                failed(&draft, source)
            })?;
        sync(&self.place)
    }
}

impl Drop for PendingBackup {
    fn drop(&mut self) {
        // What stays is cleared away by the next.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What is wrong with the file of a backup, by its size and its SHA-256; `None` where nothing is.
pub fn fault(
    path: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<String>, StoreError> {
    let bytes = fs::metadata(path)
        .map_err(|source| failed(path, source))?
        .len();
    if bytes != manifest.bytes {
        return Ok(Some(format!(
            "it has {bytes} bytes, and had {}",
            manifest.bytes
        )));
    }
    let sha256 = sha256(path, progress)?;
    Ok((sha256 != manifest.sha256).then(|| {
        format!(
            "its SHA-256 is {sha256}, and was {}: its content was altered",
            manifest.sha256
        )
    }))
}

/// SHA-256 of a file in hexadecimal.
pub fn sha256(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<String, StoreError> {
    let mut file = File::open(path).map_err(|source| failed(path, source))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|source| failed(path, source))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        done += read as u64;
        progress(done);
    }
    Ok(hex::encode(hash.finalize()))
}

/// The manifest beside a file; `None` if there is none, or one of another file.
pub fn beside(file: &Path) -> Option<Manifest> {
    let manifest = read(&file.with_extension("json")).ok()?;
    let is_its_own = file
        .file_name()
        .is_some_and(|name| name == manifest.file.as_str());
    is_its_own.then_some(manifest)
}

fn read(path: &Path) -> Result<Manifest, String> {
    let text = files::read_own(path).map_err(|error| error.to_string())?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|_| "it is no manifest".to_owned())?;
    if value["version"] != VERSION {
        return Err(format!(
            "it is of version {}, and this program reads {VERSION}",
            value["version"]
        ));
    }
    let manifest: Manifest = serde_json::from_value(value)
        .map_err(|error| format!("it is no whole manifest: {error}"))?;
    if path
        .file_stem()
        .is_none_or(|stem| stem != manifest.id.as_str())
    {
        return Err(format!("it calls itself {}", manifest.id));
    }
    Ok(manifest)
}

fn locked(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    files::own(&path, OpenOptions::new().create(true).append(true))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|source| failed(&path, source))
}

/// Without the file somebody may be about to lock it, for a moment; nothing is lost by leaving it to the next.
fn is_locked(path: &Path) -> bool {
    match files::own(path, OpenOptions::new().read(true)) {
        Ok(file) => file.try_lock().is_err(),
        Err(_) => fs::metadata(path.with_file_name("")).is_ok_and(|folder| {
            folder
                .modified()
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 60))
        }),
    }
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::UNIX_EPOCH;

    use super::*;

    fn place() -> (tempfile::TempDir, BackupStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join(".rollback"), || UNIX_EPOCH);
        (folder, store.backups())
    }

    fn manifest(id: &str, bytes: &[u8], at: &str) -> Manifest {
        Manifest {
            version: VERSION,
            id: id.to_owned(),
            at: at.to_owned(),
            database_key: "sqlite:app.db".to_owned(),
            dialect: "sqlite".to_owned(),
            file: format!("{id}.sqlite"),
            bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(bytes)),
            seconds: 0.5,
            heads: ["a".into()].into(),
            rows: [("t".to_owned(), 3)].into(),
            ..Manifest::default()
        }
    }

    fn made(backups: &BackupStore, id: &str, at: &str) -> Manifest {
        let part = backups.begin(id).unwrap();
        let file = part.file(".sqlite");
        fs::write(&file, "content").unwrap();
        let manifest = Manifest {
            number: Some(part.number()),
            ..manifest(part.id(), b"content", at)
        };
        part.finish(&file, &manifest).unwrap();
        manifest
    }

    fn names(backups: &BackupStore) -> Vec<String> {
        let names = backups.names().unwrap();
        let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        names.into_iter().map(name).collect()
    }

    #[test]
    fn a_backup_is_its_owners_alone_and_found_again() {
        let (_folder, backups) = place();
        assert!(backups.list().unwrap().manifests.is_empty());
        let one = made(&backups, "20261121T040000Z-1", "2026-11-21T04:00:00Z");
        assert_eq!(
            names(&backups),
            ["20261121T040000Z-1.json", "20261121T040000Z-1.sqlite"]
        );
        assert_eq!(
            backups.list().unwrap().manifests,
            std::slice::from_ref(&one)
        );
        for (path, mode) in [
            (backups.folder().to_owned(), 0o700),
            (backups.file(&one), 0o600),
            (backups.folder().join("20261121T040000Z-1.json"), 0o600),
        ] {
            let found = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{}", path.display());
        }
        assert!(backups.folder().with_file_name(".gitignore").exists());
    }

    #[test]
    fn two_of_one_moment_have_two_names() {
        let (_folder, backups) = place();
        let one = made(&backups, "20261121T040000Z-1", "2026-11-21T04:00:00Z");
        let other = made(&backups, &one.id, "2026-11-21T04:00:00Z");
        assert_eq!(other.id, "20261121T040000Z-1-2");
        let listed = backups.list().unwrap();
        assert_eq!(listed.find("latest").unwrap().id, other.id);
        assert_eq!(listed.find(&one.id).unwrap().id, one.id);
    }

    #[test]
    fn it_is_found_by_the_beginning_of_its_id() {
        let (_folder, backups) = place();
        made(&backups, "20261121T040000Z-1", "2026-11-21T04:00:00Z");
        made(&backups, "20261122T040000Z-1", "2026-11-22T04:00:00Z");
        let listed = backups.list().unwrap();
        let ids: Vec<&str> = listed
            .manifests
            .iter()
            .map(|found| found.id.as_str())
            .collect();
        assert_eq!(ids, ["20261122T040000Z-1", "20261121T040000Z-1"]);
        assert_eq!(listed.find("latest").unwrap().id, ids[0]);
        assert_eq!(listed.find("20261121").unwrap().id, ids[1]);
        assert_eq!(listed.find("2025"), Err(NotFound::None));
        assert_eq!(listed.find(""), Err(NotFound::None));
        let mut damaged = backups.list().unwrap();
        damaged.damaged.push("torn".to_owned());
        assert_eq!(
            damaged.find("latest"),
            Err(NotFound::NotSurelyLatest(ids[0].to_owned()))
        );
        let several = ids.iter().map(|&id| id.to_owned()).collect();
        assert_eq!(listed.find("202611"), Err(NotFound::Several(several)));
    }

    #[test]
    fn what_a_killed_one_left_is_no_backup_and_is_cleared_away_by_the_next() {
        let (_folder, backups) = place();
        let one = made(&backups, "20261121T040000Z-1", "2026-11-21T04:00:00Z");
        let at_work = backups.begin("20261121T040000Z-2").unwrap();
        fs::write(at_work.file(".sqlite"), "half").unwrap();
        // A lock that nobody holds, and a file that never got its manifest.
        let left = backups.folder().join("20261121T040000Z-3.part");
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(left.join("20261121T040000Z-3.sqlite"), "half").unwrap();
        fs::write(backups.folder().join("20261121T040000Z-4.dump"), "all").unwrap();
        assert_eq!(
            backups.list().unwrap().manifests,
            std::slice::from_ref(&one)
        );

        let next = backups.begin("20261121T040000Z-5").unwrap();
        assert!(
            at_work.file(".sqlite").exists(),
            "one at work was disturbed"
        );
        drop((at_work, next));
        assert_eq!(names(&backups), [format!("{}.json", one.id), one.file]);
    }

    #[test]
    fn a_damaged_manifest_is_named_and_the_others_are_listed() {
        let (_folder, backups) = place();
        let one = made(&backups, "20261121T040000Z-1", "2026-11-21T04:00:00Z");
        let text = fs::read_to_string(backups.folder().join(format!("{}.json", one.id))).unwrap();
        for (name, text) in [
            ("a.json", "{".to_owned()),
            ("b.json", "{\"version\": 9}".to_owned()),
            ("c.json", "{\"version\": 1}".to_owned()),
            ("d.json", text),
        ] {
            fs::write(backups.folder().join(name), text).unwrap();
        }
        let listed = backups.list().unwrap();
        assert_eq!(listed.manifests, [one]);
        let damaged = listed.damaged.join("\n");
        for words in [
            "a.json: it is no manifest",
            "of version 9",
            "c.json",
            "it calls itself",
        ] {
            assert!(damaged.contains(words), "{words}: {damaged}");
        }
    }

    #[test]
    fn a_file_cut_off_and_an_altered_byte_are_noticed() {
        let (_folder, backups) = place();
        let one = made(&backups, "20261121T040000Z-1", "2026-11-21T04:00:00Z");
        assert_eq!(fault(&backups.file(&one), &one, &mut |_| {}).unwrap(), None);
        fs::write(backups.file(&one), "content".replace('t', "d")).unwrap();
        let reason = fault(&backups.file(&one), &one, &mut |_| {})
            .unwrap()
            .unwrap();
        assert!(reason.contains("altered"), "{reason}");
        fs::write(backups.file(&one), "cont").unwrap();
        let reason = fault(&backups.file(&one), &one, &mut |_| {})
            .unwrap()
            .unwrap();
        assert_eq!(reason, "it has 4 bytes, and had 7");
    }

    #[test]
    fn a_manifest_leads_out_of_no_folder() {
        let (_folder, backups) = place();
        let mut one = manifest("a", b"", "");
        one.file = "../../app.db".to_owned();
        assert_eq!(backups.file(&one), backups.folder().join("app.db"));
    }
}
