//! `[serving]`: the address and the bounds of the HTTP server.

use std::net::SocketAddr;
use std::time::Duration;

use crate::key::{default, section};
use crate::kind::{Address, Bytes, Count, duration};
use crate::units::{HOUR, MB, MILLISECOND, TB};

section! {
    /// The HTTP server.
    pub struct Serving in "serving" {
        /// The address to listen on; port 0 picks a free one.
        listen: SocketAddr = Address("127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080"),
            default("127.0.0.1:8080");

        /// Greatest number of windows in one request.
        max_windows: usize = Count { min: 1, max: 10_000_000 }, default("10000");

        /// Time between checks of the log of `avg_speed`.
        refresh_interval: Duration = duration(10 * MILLISECOND, HOUR), default("1s");

        /// Rows held in memory.
        cache_bytes: u64 = Bytes { min: MB, max: 1_000 * TB }, default("512MB");

        /// Longest time that a request may take.
        request_timeout: Duration = duration(100 * MILLISECOND, HOUR), default("30s");

        /// Requests answered at a time; more of them are refused with 503.
        max_concurrent_requests: usize = Count { min: 1, max: 1_000_000 }, default("1024");
    }
    families {}
}
