//! What this process is, as metrics: the program and its version, and what the kernel says of it. Only Linux says that, in `/proc`;
//! elsewhere there is none of it.

use lake_model::Clock as _;
use metrics::{Unit, describe_gauge, gauge};

use crate::SystemClock;

const BUILD_INFO: &str = "lambdalake_build_info";
const START_TIME: &str = "lambdalake_process_start_time_seconds";
const RESIDENT_BYTES: &str = "lambdalake_process_resident_bytes";

/// Records which program this is, and describes the metrics of processes. All programs have the version of the workspace.
pub(super) fn record_build(program: &'static str) {
    describe_gauge!(BUILD_INFO, "The program and its version; always 1");
    describe_gauge!(START_TIME, Unit::Seconds, "When the program started");
    describe_gauge!(RESIDENT_BYTES, Unit::Bytes, "Resident memory of the program");
    let version = env!("CARGO_PKG_VERSION");
    gauge!(BUILD_INFO, "program" => program, "version" => version).set(1.0);
    gauge!(START_TIME).set(SystemClock.now().micros() as f64 / 1e6);
}

/// Records the resident memory of this process.
pub(super) async fn record() {
    let Ok(status) = tokio::fs::read_to_string("/proc/self/status").await else { return };
    if let Some(bytes) = resident_bytes(&status) {
        gauge!(RESIDENT_BYTES).set(bytes as f64);
    }
}

/// The resident memory that the contents of `/proc/self/status` report.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_where_there_is_any() {
        let status = "Name:\tspeed-layer\nVmHWM:\t  200000 kB\nVmRSS:\t  123456 kB\nThreads:\t9\n";
        assert_eq!(resident_bytes(status), Some(123_456 * 1024));
        for other in ["", "Name:\tkthreadd\nThreads:\t1\n", "VmRSS:\t12 pages\n"] {
            assert_eq!(resident_bytes(other), None);
        }
    }
}
