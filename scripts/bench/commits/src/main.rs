//! `bench-commits`: makes many commits to a new table and prints what they took, a line of JSON for every so many.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bench_commits::{Commits, Took};
use clap::Parser;
use lake_config::Settings;
use lake_config::environment;
use lake_delta::Lake;
use lake_runtime::{RandomIds, SystemClock};

/// As the speed layer has it: checkpoints leave memory behind, and it is the allocator that gives it back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Commits to a new `avg_speed` in the lake that the environment's settings name.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Commits to make
    #[arg(long)]
    commits: u64,
    /// Commits that a line tells of
    #[arg(long)]
    every: usize,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the lines are the program's output")]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let settings = Settings::load(None, environment(), &[]).context("read the settings")?;
    let lake = Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds))?;
    let mut commits = Commits::new(lake).await?;
    let mut span = Vec::with_capacity(cli.every);
    for made in 1..=cli.commits {
        span.push(commits.next().await?);
        if span.len() == cli.every || made == cli.commits {
            println!("{}", line(made, &span, commits.open().await?));
            span.clear();
        }
    }
    Ok(())
}

/// What the commits of a span took, in milliseconds.
fn line(made: u64, span: &[Took], opening: Duration) -> serde_json::Value {
    let tidying: Vec<Duration> = span.iter().filter_map(|took| took.tidying).collect();
    let committing: Vec<Duration> = span.iter().map(|took| took.committing).collect();
    let writing: Vec<Duration> = span.iter().map(|took| took.writing).collect();
    serde_json::json!({
        "commits": made,
        "commit_ms": quantile(committing.clone(), 50),
        "commit_p99_ms": quantile(committing, 99),
        "write_ms": quantile(writing, 50),
        "checkpoint_ms": quantile(tidying, 50),
        "open_ms": opening.as_secs_f64() * 1000.0,
    })
}

/// The nearest-rank percentile in milliseconds; none of nothing.
fn quantile(mut times: Vec<Duration>, percent: usize) -> Option<f64> {
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100).checked_sub(1)?;
    Some(times[place].as_secs_f64() * 1000.0)
}
