//! Opening files that somebody else may have put there.
//!
//! A file of our own is where its name says, is an ordinary file, has no second name, and belongs to somebody whom we
//! have to trust anyway: otherwise it is neither written nor locked nor read. What others may have prepared (a link
//! to `~/.bashrc`, a FIFO that never ends) is an error. Nothing is cut off before it was looked at.
//!
//! Links in the folders above are followed: the project's directory is its user's choice.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// Opens a file of our own as `options` say, and makes it with rights for its owner alone where they say so.
/// `truncate` is not for them: see [`emptied`].
pub fn own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = without_following(path, options)?;
    let metadata = file.metadata()?;
    ordinary(&metadata)?;
    if !is_trusted(&metadata, path) {
        return Err(refused("it belongs to another user"));
    }
    Ok(file)
}

/// As [`own`], of whoever it is: for a lock, which others of the same database hold as well.
pub fn anybodys(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = without_following(path, options)?;
    ordinary(&file.metadata()?)?;
    Ok(file)
}

/// Whether we may write to an open file at this path.
pub fn may_write(file: &File, path: &Path) -> io::Result<bool> {
    Ok(is_trusted(&file.metadata()?, path))
}

/// Makes a new file for its owner alone. There must be nothing of that name, not even a link.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes a new file in the place of one that an earlier process of our own may have left.
pub fn emptied(path: &Path) -> io::Result<File> {
    match create(path) {
        // Removing a link leaves what it leads to alone.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create(path)
        }
        file => file,
    }
}

/// Reads a file of our own.
pub fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    own(path, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file that a user may keep where it pleases, by a link as well. What is no ordinary file is an error at
/// once: a FIFO would be waited for without end.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(refused("it is not an ordinary file"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as text.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| {
        let sentence = "stream did not contain valid UTF-8";
        io::Error::new(io::ErrorKind::InvalidData, sentence)
    })
}

/// Makes a folder for its owner alone, with those above it, or finds it: a real one, of our own.
pub fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    own_folder(path)
}

/// Whether a folder is a real one, of our own.
pub fn own_folder(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Err(refused("it is a link"));
    }
    trusted_folder(&metadata, path)
}

/// Whether a folder that a user named is of our own, wherever its name leads.
pub fn named_folder(path: &Path) -> io::Result<()> {
    trusted_folder(&fs::metadata(path)?, path)
}

fn trusted_folder(metadata: &Metadata, path: &Path) -> io::Result<()> {
    if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if !is_trusted(metadata, path) {
        return Err(refused("it belongs to another user"));
    }
    Ok(())
}

/// Refuses to put a file in the place of what is none. A link would be replaced, and what it leads to stays.
pub fn replaceable(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() || found.is_symlink() => Ok(()),
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Err(refused("it is not an ordinary file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether an open file is still the one that others find at its path.
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(found)) => (ours.dev(), ours.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

fn without_following(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = options.mode(0o600).custom_flags(flags.bits()).open(path);
    opened.map_err(|error| {
        match nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            nix::errno::Errno::ELOOP => refused("it is a link"),
            // A FIFO that nobody reads, opened for writing.
            nix::errno::Errno::ENXIO => refused("it is not an ordinary file"),
            _ => error,
        }
    })
}

fn ordinary(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(refused("it is not an ordinary file"));
    }
    // None where another process has just removed it.
    if metadata.nlink() > 1 {
        return Err(refused("it has a second name (a hard link)"));
    }
    Ok(())
}

/// Of ourselves or root. For root, of the owner of the folder as well: whoever owns the project has its code run by
/// root anyway.
fn is_trusted(metadata: &Metadata, path: &Path) -> bool {
    let (owner, own) = (metadata.uid(), geteuid().as_raw());
    let of_the_folder = || {
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let above = fs::metadata(above.unwrap_or(Path::new(".")));
        above.is_ok_and(|above| above.uid() == owner)
    };
    owner == own || owner == 0 || (own == 0 && of_the_folder())
}

fn refused(sentence: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, sentence)
}

#[cfg(test)]
mod tests;
