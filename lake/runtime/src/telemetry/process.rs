//! What the kernel says of this process, as metrics. Only Linux says it, in `/proc`; elsewhere there are none.

/// Records the resident memory of this process.
pub(super) async fn record() {
    let Ok(status) = tokio::fs::read_to_string("/proc/self/status").await else { return };
    if let Some(bytes) = resident_bytes(&status) {
        metrics::gauge!("lambdalake_process_resident_bytes").set(bytes as f64);
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
