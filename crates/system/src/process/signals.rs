//! The signals of this process, turned into counts.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use rollback_core::interrupt::Interrupt;

/// Counts the signals of this process. Signals that were ignored when it started (`nohup`) stay ignored.
pub fn handle_signals() -> io::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let (mut reader, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if !started_ignored(signal) {
            // Before the pipe: whoever hears of it can ask which it was.
            let number = usize::try_from(signal).unwrap_or_default();
            flag::register_usize(signal, interrupt.last_signal(), number)?;
            pipe::register(signal, writer.try_clone()?)?;
        }
    }
    let counter = interrupt.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut byte = [0];
            // The registered handlers keep the other end open for as long as the process lives.
            while matches!(reader.read(&mut byte), Ok(1)) {
                counter.raise();
            }
        })?;
    Ok(interrupt)
}

/// Whether the signal was set to be ignored when this process started; no where that is unknown.
fn started_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
