//! Points at which a test can have the program die, as a power cut would have it, or see nothing coming.
//!
//! Only in builds with debug assertions; a release has none of it.

/// Ends this process by SIGKILL if `ROLLBACK_FAULT_POINT` is `NAME` or, for the n-th passage,
/// `NAME:N`. Reads the process's own environment: what a test sets for the program and nobody else.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    static PASSED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());
    let Ok(wanted) = std::env::var("ROLLBACK_FAULT_POINT") else {
        return;
    };
    let (wanted, passage) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    let Ok(mut passed) = PASSED.lock() else {
        return;
    };
    let count = passed.entry(name.to_owned()).or_default();
    *count += 1;
    if wanted == name && passage == count.to_string() {
        let _ = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL);
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub fn point(_: &str) {}

/// Whether nothing counts as announced: what is measured has to hold without a forecast.
pub fn is_blind() -> bool {
    cfg!(debug_assertions) && std::env::var_os("ROLLBACK_FAULT_BLIND").is_some()
}
