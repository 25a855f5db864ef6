//! What the demo and the end-to-end scenes print: a timeline that a person enjoys.
//!
//! Lines carry the time since the start; a scene has a heading, its checks have a ✓ or a ✗. What is being
//! waited for stands in one line that changes in place on a terminal, and comes as a line every ten seconds
//! elsewhere, so that nobody wonders whether it still runs. It counts the checks and knows how to end: with
//! `N passed, N failed` alone on a line. Scenes that run side by side carry their name in front of each line.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

/// How often the line of what is waited for changes on a terminal.
const FRAME: Duration = Duration::from_millis(120);
/// How often a wait is said where there is no terminal.
const SAY_AGAIN: Duration = Duration::from_secs(10);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// The timeline; all clones write to the same one.
#[derive(Debug, Clone)]
pub struct Timeline {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    terminal: bool,
    colour: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    passed: u32,
    failed: u32,
    failures: Vec<String>,
    waits: BTreeMap<u64, Wait>,
    next_wait: u64,
    frame: usize,
    drawn: bool,
}

#[derive(Debug)]
struct Wait {
    label: String,
    what: String,
    since: Instant,
    said: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Colour {
    Bold,
    Dim,
    Green,
    Red,
    Cyan,
}

impl Timeline {
    /// A timeline on standard output that starts now.
    pub fn start() -> Timeline {
        let terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let inner = Arc::new(Inner {
            started: Instant::now(),
            terminal,
            colour: terminal && !plain,
            state: Mutex::default(),
        });
        keep_waits_visible(Arc::downgrade(&inner));
        Timeline { inner }
    }

    /// A place for lines outside any scene.
    pub fn scribe(&self) -> Scribe {
        self.scribe_for("")
    }

    /// A place for the lines of one scene; `label` stands in front of each, empty where only one scene runs.
    pub fn scribe_for(&self, label: &str) -> Scribe {
        Scribe {
            timeline: self.clone(),
            label: label.to_owned(),
        }
    }

    /// How many checks failed up to now.
    pub fn failed(&self) -> u32 {
        self.inner.lock().failed
    }

    /// Repeats what failed, prints `N passed, N failed`, and says whether none failed.
    pub fn finish(&self) -> bool {
        let mut state = self.inner.lock();
        state.waits.clear();
        let failures = std::mem::take(&mut state.failures);
        if !failures.is_empty() {
            let heading = self.inner.paint(Colour::Bold, "What failed");
            self.inner.print(&mut state, &format!("\n{heading}"));
            for failure in failures {
                let cross = self.inner.paint(Colour::Red, "✗");
                self.inner
                    .print(&mut state, &format!("  {cross} {failure}"));
            }
        }
        let sum = format!("\n{} passed, {} failed", state.passed, state.failed);
        self.inner.print(&mut state, &sum);
        state.failed == 0
    }
}

/// Writes the lines of one scene.
#[derive(Debug, Clone)]
pub struct Scribe {
    timeline: Timeline,
    label: String,
}

impl Scribe {
    /// The heading of a scene.
    pub fn heading(&self, text: &str) {
        let inner = &self.timeline.inner;
        let mut state = inner.lock();
        let text = inner.paint(Colour::Bold, text);
        let label = self.label();
        inner.print(&mut state, &format!("\n{label}── {text}"));
    }

    /// Something happened.
    pub fn note(&self, text: &str) {
        let inner = &self.timeline.inner;
        let mut state = inner.lock();
        let time = inner.paint(Colour::Dim, &clock(inner.started.elapsed()));
        let label = self.label();
        inner.print(&mut state, &format!("{time}  {label}{text}"));
    }

    /// Text as it is, each line set in: the end of a log, a list of things to try.
    pub fn block(&self, text: &str) {
        let inner = &self.timeline.inner;
        let mut state = inner.lock();
        for line in text.lines() {
            inner.print(&mut state, &format!("         {line}"));
        }
    }

    /// Counts a check and says how it went; answers `ok`.
    pub fn check(&self, name: &str, ok: bool) -> bool {
        self.check_or(name, ok, String::new)
    }

    /// As [`Scribe::check`], and says `detail` where it failed.
    pub fn check_or(&self, name: &str, ok: bool, detail: impl FnOnce() -> String) -> bool {
        let inner = &self.timeline.inner;
        let mut state = inner.lock();
        let label = self.label();
        if ok {
            state.passed += 1;
            let mark = inner.paint(Colour::Green, "✓");
            inner.print(&mut state, &format!("       {label}{mark} {name}"));
            return true;
        }
        state.failed += 1;
        let detail = detail();
        let sentence = if detail.is_empty() {
            name.to_owned()
        } else {
            format!("{name}: {detail}")
        };
        let mark = inner.paint(Colour::Red, "✗");
        inner.print(&mut state, &format!("       {label}{mark} {sentence}"));
        state
            .failures
            .push(format!("{}{sentence}", plain(&self.label)));
        false
    }

    /// Shows that something is waited for, until the guard is dropped.
    pub fn waiting(&self, what: &str) -> Waiting {
        let mut state = self.timeline.inner.lock();
        let id = state.next_wait;
        state.next_wait += 1;
        let now = Instant::now();
        let wait = Wait {
            label: plain(&self.label),
            what: what.to_owned(),
            since: now,
            said: now,
        };
        state.waits.insert(id, wait);
        Waiting {
            timeline: self.timeline.clone(),
            id,
        }
    }

    fn label(&self) -> String {
        let text = plain(&self.label);
        self.timeline.inner.paint(Colour::Cyan, &text)
    }
}

/// Something is being waited for while this lives.
#[derive(Debug)]
pub struct Waiting {
    timeline: Timeline,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.timeline.inner.lock();
        state.waits.remove(&self.id);
        self.timeline.inner.erase(&mut state);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while printing leaves nothing half done that matters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Cyan => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    fn print(&self, state: &mut State, line: &str) {
        self.erase(state);
        let mut out = std::io::stdout().lock();
        // A reader that went away (`| head`) is no reason to fail.
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
    }

    fn erase(&self, state: &mut State) {
        if std::mem::take(&mut state.drawn) {
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "\r\u{1b}[2K");
            let _ = out.flush();
        }
    }

    /// One frame of what is waited for.
    fn tick(&self) {
        let mut state = self.lock();
        if self.terminal {
            self.draw(&mut state);
            return;
        }
        let mut lines = Vec::new();
        for wait in state.waits.values_mut() {
            if wait.said.elapsed() >= SAY_AGAIN {
                wait.said = Instant::now();
                let Wait { label, what, .. } = wait;
                let time = clock(self.started.elapsed());
                let seconds = wait.since.elapsed().as_secs();
                lines.push(format!("{time}  {label}… {what} ({seconds} s)"));
            }
        }
        for line in lines {
            self.print(&mut state, &line);
        }
    }

    fn draw(&self, state: &mut State) {
        if state.waits.is_empty() {
            return self.erase(state);
        }
        state.frame = (state.frame + 1) % SPINNER.len();
        let waits: Vec<String> = state
            .waits
            .values()
            .map(|wait| {
                let seconds = wait.since.elapsed().as_secs();
                format!("{}{} {seconds} s", wait.label, wait.what)
            })
            .collect();
        let spinner = SPINNER[state.frame];
        let time = clock(self.started.elapsed());
        let line = self.paint(
            Colour::Dim,
            &format!("{time}  {spinner} {}", waits.join(" · ")),
        );
        let mut out = std::io::stdout().lock();
        // Without wrapping, so that one line stays one line however narrow the window is.
        let _ = write!(out, "\r\u{1b}[2K\u{1b}[?7l{line}\u{1b}[?7h");
        let _ = out.flush();
        state.drawn = true;
    }
}

/// Runs until the timeline is gone.
fn keep_waits_visible(inner: Weak<Inner>) {
    thread::spawn(move || {
        loop {
            thread::sleep(FRAME);
            match inner.upgrade() {
                Some(inner) => inner.tick(),
                None => return,
            }
        }
    });
}

fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{:>2}:{:02}", seconds / 60, seconds % 60)
}

fn plain(label: &str) -> String {
    if label.is_empty() {
        String::new()
    } else {
        format!("{label:<12} ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_makes_the_end_a_failure() {
        let timeline = Timeline::start();
        let scribe = timeline.scribe();
        assert!(scribe.check("this holds", true));
        assert_eq!(timeline.failed(), 0);
        assert!(!scribe.check_or("this does not", false, || "2 instead of 1".to_owned()));
        assert_eq!(timeline.failed(), 1);
        assert!(!timeline.finish());
    }

    #[test]
    fn what_is_no_longer_waited_for_is_no_longer_shown() {
        let timeline = Timeline::start();
        let waiting = timeline.scribe().waiting("the end of the world");
        assert_eq!(timeline.inner.lock().waits.len(), 1);
        drop(waiting);
        assert!(timeline.inner.lock().waits.is_empty());
    }

    #[test]
    fn the_clock_counts_minutes_past_the_hour() {
        assert_eq!(clock(Duration::from_secs(5)), " 0:05");
        assert_eq!(clock(Duration::from_secs(3_725)), "62:05");
    }
}
