//! The operator's wish to stop, as signals tell it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

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

    /// Where the number of each signal is stored before the signal is counted.
    pub fn last_signal(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.last)
    }

    /// The number of the signal that came last; `None` if it is not known.
    pub fn last(&self) -> Option<i32> {
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
