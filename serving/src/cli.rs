//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  Serve the lake that ./lakehouse.toml names (or the defaults, without one):
    serving run

  Another configuration, and another address for this time:
    LAKEHOUSE__SERVING__LISTEN=0.0.0.0:8080 serving run --config /etc/lakehouse.toml

  What is there to ask:
    curl 'http://127.0.0.1:8080/kvfv?limit=10'
    curl 'http://127.0.0.1:8080/kvfv/KV12345/avg-speed?from=2025-04-05T00:00:00Z&to=2025-04-06T00:00:00Z&interval=1h'
    curl 'http://127.0.0.1:8080/openapi.json'

SIGTERM and SIGINT end the program once the requests in progress are answered.
Exit codes: 0 done, 2 usage or configuration, 3 an external failure (the store, or an address in use).";

/// Serves the cameras' average speeds over HTTP.
///
/// Follows the table avg_speed, so that an answer is as fresh as the speed layer's last commit, and final as soon
/// as the batch has made a day final.
#[derive(Clone, Debug, Parser)]
#[command(name = "serving", version, after_help = lake_config::with_settings_help(EXAMPLES))]
pub struct Cli {
    /// The settings file [default: ./lakehouse.toml, if it exists]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Serve until stopped by SIGTERM or SIGINT
    #[command(after_help = lake_config::with_settings_help(EXAMPLES))]
    Run,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_takes_config_on_either_side_of_run() {
        Cli::command().debug_assert();
        for line in
            [["serving", "--config", "a.toml", "run"], ["serving", "run", "--config", "a.toml"]]
        {
            let cli = Cli::try_parse_from(line).expect("it is a good command line");
            assert_eq!(cli.config, Some(PathBuf::from("a.toml")));
        }
        assert!(Cli::try_parse_from(["serving"]).is_err());
    }
}
