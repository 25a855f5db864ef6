//! Planted faults for the tests: a build with the feature `faults` kills
//! itself at a named point, or trusts what it must not trust.
//!
//! A normal build has none of it: [`point`] is empty there. Points are named
//! along a pass, before and after each side effect, so that the crash tests
//! can show that every one of them is survived.

/// Every point, in the order of a pass.
pub const POINTS: &[&str] = &[
    "fetched",
    "superseded",
    "asked",
    "accepted",
    "looked",
    "decided",
    "recorded",
    "exported",
    "began",
    "planned",
    "checked",
    "looked-again",
    "before-apply",
    "applied",
    "finished",
    "evidence",
    "before-revert",
    "pushed",
    "reverted",
    "outputs-read",
    "ended",
    "swept",
    "cleanup-before-call",
    "cleanup-after-call",
];

#[cfg(feature = "faults")]
static AT: std::sync::OnceLock<(String, std::sync::atomic::AtomicU32)> = std::sync::OnceLock::new();

/// Plants what `AMID_FAULT` says: `crash:POINT` or `crash:POINT:N` for the
/// Nth time. A build without the feature `faults` ignores it.
#[cfg_attr(
    not(feature = "faults"),
    expect(unused_variables, reason = "only faulty builds plant faults")
)]
pub fn plant(fault: Option<&str>) {
    #[cfg(feature = "faults")]
    if let Some(rest) = fault.and_then(|fault| fault.strip_prefix("crash:")) {
        let (name, times) = match rest.split_once(':') {
            Some((name, times)) => (name, times.parse().unwrap_or(1)),
            None => (rest, 1),
        };
        let _ = AT.set((name.to_owned(), std::sync::atomic::AtomicU32::new(times)));
    }
}

/// Dies here by SIGKILL, if that was planted.
pub fn point(name: &str) {
    debug_assert!(
        POINTS.contains(&name),
        "{name} is not in the list of points"
    );
    #[cfg(feature = "faults")]
    if let Some((at, left)) = AT.get()
        && at == name
        && left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1
    {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
