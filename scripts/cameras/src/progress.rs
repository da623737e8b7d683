//! Progress of a run: a bar on a terminal, log lines elsewhere, nothing when asked to be quiet.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::pace::Stopwatch;
use crate::summary::Tally;

/// Time from one log line to the next.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Shows how far a run is.
pub struct Progress(Shown);

enum Shown {
    Bar(ProgressBar),
    Log { since_line: Stopwatch, events: Option<u64> },
    Nothing,
}

impl Progress {
    /// Of a run with that many events, if it is known how many.
    pub fn new(events: Option<u64>, quiet: bool) -> Progress {
        Progress(match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Shown::Nothing,
            (_, true) => Shown::Bar(bar(events)),
            (_, false) => Shown::Log { since_line: Stopwatch::start(), events },
        })
    }

    /// Shows what is done.
    pub fn update(&mut self, tally: &Tally) {
        match &mut self.0 {
            Shown::Bar(bar) => bar.set_position(tally.events()),
            Shown::Log { since_line, events } if since_line.elapsed() >= LOG_INTERVAL => {
                *since_line = Stopwatch::start();
                tracing::info!(
                    events = tally.events(),
                    of = *events,
                    records = tally.produced(),
                    "producing"
                );
            }
            Shown::Log { .. } | Shown::Nothing => {}
        }
    }

    /// Says what is waited for.
    pub fn wait_for(&self, what: &'static str) {
        match &self.0 {
            Shown::Bar(bar) => bar.set_message(what),
            Shown::Log { .. } => tracing::info!("waiting for {what}"),
            Shown::Nothing => {}
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Shown::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn bar(events: Option<u64>) -> ProgressBar {
    let (bar, template) = match events {
        Some(events) => (
            ProgressBar::new(events),
            "{elapsed_precise} [{bar:40}] {human_pos}/{human_len} events, {per_sec}, {eta} left {msg}",
        ),
        None => (ProgressBar::no_length(), "{elapsed_precise} {human_pos} events, {per_sec} {msg}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bar.with_style(style)
}
