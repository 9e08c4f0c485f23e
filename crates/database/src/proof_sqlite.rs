//! What a SQLite file shows of a step that left nothing: its change counter, or the log of WAL mode.
//!
//! The files are read as such. To ask SQLite would take a connection that stays open while the step runs.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::sqlite_connection::beside;
use rollback_core::proof::{Log, SqliteEvidence};

/// The sizes of a log's header, and of the header of each page in it.
const LOG_HEADER: u64 = 32;
const PAGE_HEADER: usize = 24;

/// Reads what there is to compare.
pub(super) fn evidence(path: &Path) -> io::Result<SqliteEvidence> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut header = [0; 28];
    // An empty file is an empty database.
    let read = read_up_to(&mut file, &mut header)?;
    let has_log = read == header.len() && header[18..20].contains(&2);
    let nanoseconds = metadata.mtime().saturating_mul(1_000_000_000);
    let written = nanoseconds.saturating_add(metadata.mtime_nsec());
    Ok(SqliteEvidence {
        length: metadata.len(),
        counter: number(&header, 24),
        has_log,
        written: u64::try_from(written).ok(),
        log: if has_log {
            of_log(&beside(path, "-wal"))?
        } else {
            None
        },
    })
}

/// The committed part of a log. A page belongs to it if it has the salts of the header, and a transaction ends with
/// a page that names the size of the database.
fn of_log(path: &Path) -> io::Result<Option<Log>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut header = [0; 32];
    if read_up_to(&mut file, &mut header)? < header.len() {
        return Ok(None);
    }
    let page = u64::from(number(&header, 8));
    let salts = &header[16..24];
    let (mut pages, mut committed) = (0, 0);
    let mut frame = [0; PAGE_HEADER];
    loop {
        let at = LOG_HEADER + pages * (page + PAGE_HEADER as u64);
        file.seek(SeekFrom::Start(at))?;
        if read_up_to(&mut file, &mut frame)? < frame.len() || frame[8..16] != *salts {
            break;
        }
        pages += 1;
        if number(&frame, 4) != 0 {
            committed = pages;
        }
    }
    let salts = (u64::from(number(&header, 16)) << 32) | u64::from(number(&header, 20));
    Ok((committed > 0).then_some(Log {
        salts,
        pages: committed,
    }))
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// A number of four bytes, the most significant first.
fn number(bytes: &[u8], at: usize) -> u32 {
    let part = bytes.get(at..at + 4).and_then(|part| part.try_into().ok());
    part.map_or(0, u32::from_be_bytes)
}
