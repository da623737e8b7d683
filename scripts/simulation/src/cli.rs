//! The command line.

use std::num::NonZeroUsize;

use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  simulate --seeds 1000                        a thousand runs, from seed 1 on
  simulate --seeds 1000 --first 5001           other ones
  simulate --seeds 1 --first 42 --trace        everything that happens in one run

Exit codes: 0 all runs are clean, 1 a run is not, 2 usage.";

/// Runs the speed layer, the batch and maintenance on simulated time against simulated faults.
///
/// Each seed is a run of two or three simulated days with faults of its own. At its end the tables are held against
/// the contract. A seed always gives the same run.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    /// How many seeds to run
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub first: u64,
    /// Print everything that happens
    #[arg(long)]
    pub trace: bool,
    /// Runs at a time; as many as there are processors without it
    #[arg(long, value_name = "J")]
    pub jobs: Option<NonZeroUsize>,
    /// Go on after a run that is not clean
    #[arg(long)]
    pub keep_going: bool,
}
