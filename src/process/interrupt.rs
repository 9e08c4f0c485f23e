//! The operator's wish to stop, as signals tell it.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// Counts the operator's signals (Ctrl-C, SIGTERM, SIGHUP). Clones share the counter.
///
/// The first asks the run to stop after the step, which is the runner's business; the second ends
/// the running child. A child that is started after the second is ended by the next one.
#[derive(Clone, Default)]
pub struct Interrupt {
    count: Arc<AtomicUsize>,
    /// How many of them are over and do not count.
    over: usize,
    /// The number of the signal that came last; 0 where none did.
    last: Arc<AtomicUsize>,
    at_once: bool,
    listener: Arc<Mutex<Option<Listener>>>,
}

/// What is told of each signal, with its number.
type Listener = Box<dyn Fn(usize) + Send>;

impl fmt::Debug for Interrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Interrupt")
            .field("count", &self.count)
            .field("over", &self.over)
            .field("at_once", &self.at_once)
            .finish_non_exhaustive()
    }
}

impl Interrupt {
    /// Takes over the signals of this process. Those that it was started with as ignored (`nohup`)
    /// stay ignored.
    pub fn install() -> io::Result<Self> {
        let interrupt = Self::default();
        let (mut reader, writer) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if !started_ignored(signal) {
                // Before the pipe: whoever hears of it can ask which it was.
                let number = usize::try_from(signal).unwrap_or_default();
                flag::register_usize(signal, Arc::clone(&interrupt.last), number)?;
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

    /// A counter that no signal reaches.
    pub fn never() -> Self {
        Self::default()
    }

    /// The same counter, of which already the first signal ends a child: for one that changes nothing.
    #[must_use]
    pub fn at_once(&self) -> Self {
        Self {
            at_once: true,
            ..self.clone()
        }
    }

    /// The same without the signals that have come so far: they were meant for somebody else.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self {
            over: self.count.load(Ordering::SeqCst),
            ..self.clone()
        }
    }

    /// The number of the signal that came last; `None` where it is not known.
    pub(super) fn last(&self) -> Option<i32> {
        i32::try_from(self.last.load(Ordering::SeqCst))
            .ok()
            .filter(|number| *number > 0)
    }

    /// The count at which a child or a statement that is started now is ended.
    pub fn limit(&self) -> usize {
        self.count()
            .saturating_add(1)
            .max(if self.at_once { 1 } else { 2 })
    }

    /// Counts one signal, as if it had come.
    pub fn raise(&self) {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if let Ok(listener) = self.listener.lock()
            && let Some(listener) = listener.as_ref()
        {
            listener(count);
        }
    }

    /// Has each later signal told to `listener` as it comes, from another thread: the run itself
    /// may be waiting for a silent engine. `None` tells nobody any more.
    pub fn on_signal(&self, listener: Option<Listener>) {
        let over = self.over;
        if let Ok(mut place) = self.listener.lock() {
            *place = listener.map(|listener| -> Listener {
                Box::new(move |count| listener(count.saturating_sub(over)))
            });
        }
    }

    /// How many signals have come.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst).saturating_sub(self.over)
    }
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
