//! Writing a migration file.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use rollback_system::files;

/// Puts another text in the place of a file: whole or not at all. The file has to be there, and keeps its rights.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path)?;
    let rights = fs::metadata(&path)?.permissions();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Hidden, so that nobody takes it for a migration.
    let draft = path.with_file_name(format!(".{name}.{}.draft", std::process::id()));
    let written = files::emptied(&draft)
        .and_then(|mut file| {
            file.set_permissions(rights)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, &path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}
