//! `garbage`: decodes damaged records by the million and prints what became of them as a line of JSON.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use garbage::Garbage;
use garbage::tally::Tally;
use speed_layer_decode::EventFormat;

/// The exit code when a record is not accounted for.
const CHECK_FAILED: u8 = 1;

/// Decodes records that are damaged in every way, by a seed, and accounts for each.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Records to decode
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    /// The number of the first one, to have it again
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// What the records and their damage follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The line that is printed.
#[derive(serde::Serialize)]
struct Report {
    seed: u64,
    records: u64,
    bytes: u64,
    decode_seconds: f64,
    events: u64,
    dead_letters: BTreeMap<&'static str, u64>,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the report is the program's output")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut tally = Tally::default();
    let numbers = cli.first..cli.first.saturating_add(cli.records);
    if let Err(error) = tally.take(Garbage::new(cli.seed), numbers, &settings()) {
        eprintln!("error: seed {}: {error:#}", cli.seed);
        return ExitCode::from(CHECK_FAILED);
    }
    println!("{}", serde_json::to_string(&report(cli.seed, &tally)).expect("numbers are JSON"));
    ExitCode::SUCCESS
}

/// The defaults of the speed layer.
fn settings() -> EventFormat {
    EventFormat {
        camera_field: "kvfv_id".into(),
        timestamp_field: "timestamp".into(),
        speed_field: "vehicle_speed".into(),
        plate_field: "plate_number".into(),
        max_speed_kmh: 400.0,
        max_record_bytes: 1 << 20,
        max_future_skew_us: 600_000_000,
    }
}

fn report(seed: u64, tally: &Tally) -> Report {
    let by_name =
        |(reason, count): (&lake_model::DeadLetterReason, &u64)| (reason.as_str(), *count);
    Report {
        seed,
        records: tally.records,
        bytes: tally.bytes,
        decode_seconds: tally.decoding.as_secs_f64(),
        events: tally.events,
        dead_letters: tally.dead_letters.iter().map(by_name).collect(),
    }
}
