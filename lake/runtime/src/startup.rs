//! What every program does around its work: logs, settings, the runtime, the request to stop, the exit code.
//!
//! A `main` parses its command line and calls [`run`] with its work. What the work fails with is the program's last
//! log line, and its exit code says whose fault it is.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::telemetry;
use lake_config::{Settings, environment};
use lake_model::exit_code::{CHECK_FAILED, EXTERNAL_FAILURE, USAGE_ERROR};

/// How work that could be carried out has ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Everything is in order.
    Done,
    /// A check failed, or something that was due had to be left; the report says what.
    CheckFailed,
}

/// Starts the logs, reads the settings (see [`Settings::load`]) and carries out `work` with them. `exit_code` says
/// which of the two codes above an error has.
pub fn run<W, E>(
    config: Option<&Path>,
    overrides: &[(String, String)],
    work: impl FnOnce(Settings) -> W,
    exit_code: impl FnOnce(&E) -> u8,
) -> ExitCode
where
    W: Future<Output = Result<RunOutcome, E>>,
    E: fmt::Display,
{
    telemetry::init_logging();
    let settings = match Settings::load(config, environment(), overrides) {
        Ok(settings) => settings,
        Err(error) => return fail(USAGE_ERROR, &error),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(EXTERNAL_FAILURE, &format!("start the program's threads: {error}"));
        }
    };
    let ended = runtime.block_on(work(settings));
    // Left to end with the process: calls that block do not hold up the end, and no task is torn down under another that
    // waits for it, which within the deltalake library is a panic.
    std::mem::forget(runtime);
    match ended {
        Ok(RunOutcome::Done) => ExitCode::SUCCESS,
        Ok(RunOutcome::CheckFailed) => ExitCode::from(CHECK_FAILED),
        Err(error) => fail(exit_code(&error), &error),
    }
}

/// Ends when SIGTERM or SIGINT comes. From the call on neither of them ends the process by itself.
///
/// # Errors
/// The system does not deliver signals.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let listen_for = |kind| {
        signal(kind).map_err(|error| {
            io::Error::new(error.kind(), format!("listen for SIGTERM and SIGINT: {error}"))
        })
    };
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("a signal asks the program to stop");
    })
}

fn fail(code: u8, error: &dyn fmt::Display) -> ExitCode {
    tracing::error!("{}", with_cause(error));
    ExitCode::from(code)
}

/// What an error says, with its causes unless it says them itself.
fn with_cause(error: &dyn fmt::Display) -> String {
    let (alone, whole) = (format!("{error}"), format!("{error:#}"));
    let root = whole.rsplit(": ").next().unwrap_or_default();
    if alone.contains(root) { alone } else { whole }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The exit code of a program with these settings and this work, in its debug form: it has no other.
    fn exit_of(settings: &str, work: Result<RunOutcome, &'static str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("settings.toml");
        std::fs::write(&config, settings).unwrap();
        let code = |error: &&str| if *error == "usage" { USAGE_ERROR } else { EXTERNAL_FAILURE };
        format!("{:?}", run(Some(&config), &[], |_| std::future::ready(work), code))
    }

    fn code(code: u8) -> String {
        format!("{:?}", ExitCode::from(code))
    }

    #[test]
    fn the_exit_code_says_how_the_work_ended() {
        assert_eq!(exit_of("", Ok(RunOutcome::Done)), code(0));
        assert_eq!(exit_of("", Ok(RunOutcome::CheckFailed)), code(1));
        assert_eq!(exit_of("", Err("usage")), code(2));
        assert_eq!(exit_of("", Err("outside")), code(3));
    }

    #[test]
    fn a_cause_is_repeated_only_where_the_error_does_not_say_it() {
        struct Error(&'static str, &'static str);
        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Error(text, causes) = self;
                if f.alternate() { write!(f, "{text}: {causes}") } else { write!(f, "{text}") }
            }
        }
        assert_eq!(with_cause(&Error("write x", "pipe: broken")), "write x: pipe: broken");
        assert_eq!(
            with_cause(&Error("read x: pipe: broken; do this", "pipe: broken")),
            "read x: pipe: broken; do this"
        );
    }

    #[test]
    fn unusable_settings_end_the_program_before_its_work() {
        assert_eq!(exit_of("kafka.brokes = 1", Ok(RunOutcome::Done)), code(2));
    }

    #[test]
    fn a_call_that_blocks_does_not_hold_up_the_end() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let work = |_| async move {
            tokio::task::spawn_blocking(move || held.recv());
            Ok::<_, &str>(RunOutcome::Done)
        };
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("settings.toml");
        std::fs::write(&config, "").unwrap();
        let ended = run(Some(&config), &[], work, |_| EXTERNAL_FAILURE);
        assert_eq!(format!("{ended:?}"), code(0));
        drop(release);
    }
}
