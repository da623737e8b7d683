//! `simulate`: the simulation's command line. The work is in the library.

use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Parser;
use simulation::cli::Cli;
use simulation::summary::{Summary, failure};
use simulation::sweep::{SeedReport, Sweep};
use tokio::time::Instant;

/// Seeds between lines of progress where there is no terminal.
const PROGRESS: u64 = 100;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout().lock();
    match sweep(&cli, &mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever read the output has gone.
        Err(_) => ExitCode::from(3),
    }
}

/// Runs the seeds; returns whether all are clean.
fn sweep(cli: &Cli, out: &mut impl Write) -> std::io::Result<bool> {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let sweep = Sweep {
        first: cli.first,
        seeds: cli.seeds,
        jobs: cli.jobs.unwrap_or(cores).get(),
        trace: cli.trace,
        keep_going: cli.keep_going,
    };
    let started = Instant::now();
    let mut summary = Summary::default();
    let mut written = Ok(());
    sweep.run(|report| {
        summary.take(&report);
        if written.is_ok() {
            written = tell(&report, &summary, cli, out);
        }
    })?;
    written?;
    write!(out, "{}", summary.after(started.elapsed()))?;
    Ok(summary.is_clean())
}

fn tell(
    report: &SeedReport,
    summary: &Summary,
    cli: &Cli,
    out: &mut impl Write,
) -> std::io::Result<()> {
    for line in &report.trace {
        writeln!(out, "{line}")?;
    }
    if cli.trace {
        writeln!(out, "seed {} has the trace {:016x}", report.seed, report.hash)?;
    }
    if !report.problems.is_empty() {
        writeln!(out, "{}", failure(report))?;
    }
    let (seeds, is_terminal) = (summary.seeds(), std::io::stdout().is_terminal());
    if is_terminal && !cli.trace {
        write!(out, "\r{seeds} of {} seeds", cli.seeds)?;
        if seeds == cli.seeds {
            writeln!(out)?;
        }
        return out.flush();
    }
    if seeds.is_multiple_of(PROGRESS) && seeds < cli.seeds {
        writeln!(out, "{seeds} of {} seeds", cli.seeds)?;
        return out.flush();
    }
    Ok(())
}
