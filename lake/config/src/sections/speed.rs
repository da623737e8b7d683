//! `[speed]`: lateness, and the intervals and bounds of the speed layer.

use std::net::SocketAddr;
use std::time::Duration;

use crate::key::{default, section};
use crate::kind::{Address, Bytes, OrNone, Share, duration};
use crate::units::{CENTURY, HOUR, MB, MILLISECOND, MINUTE, TB};

section! {
    /// How the speed layer paces itself.
    pub struct Speed in "speed" {
        /// How long after its end a window still accepts events, in event time. Events later than that
        /// land with late = true, and count when the batch next makes their day final.
        allowed_lateness: Duration = duration(0, CENTURY), default("3h");

        /// How far the watermark of a partition stays behind its greatest event time.
        out_of_orderness: Duration = duration(0, CENTURY), default("30s");

        /// Time between commits of provisional rows, and so how fresh averages are.
        commit_interval: Duration = duration(100 * MILLISECOND, 5 * MINUTE), default("5s");

        /// Longest time that accepted rows wait before they land in `events`. Longer makes fewer and
        /// larger files; nothing is lost in a crash, since Kafka still holds what waits.
        landing_interval: Duration = duration(100 * MILLISECOND, 30 * MINUTE), default("30s");

        /// Accepted rows land as soon as this much of them waits.
        landing_bytes: u64 = Bytes { min: MB, max: TB }, default("64MB");

        /// Time between commits of offsets alone, while no records come.
        position_interval: Duration = duration(100 * MILLISECOND, 30 * MINUTE), default("60s");

        /// Longest time that the speed layer goes on committing what it holds once it is asked to stop.
        /// What is not committed by then is read from Kafka again at the next start.
        shutdown_timeout: Duration = duration(100 * MILLISECOND, HOUR), default("30s");

        /// Decoded records that may wait for the aggregation; beyond it fetching pauses. At least
        /// event.max_record_bytes.
        queue_bytes: u64 = Bytes { min: MB, max: TB }, default("64MB");

        /// The share of records, from 0 to 1, that may become dead letters before that is warned of, and from
        /// which on `speed-layer check` fails.
        max_dead_share: f64 = Share, default("0.1");

        /// Where the speed layer serves its metrics (GET /metrics) and whether it is ready (GET
        /// /health/ready); "" turns that off.
        metrics_listen: Option<SocketAddr> = OrNone(Address("127.0.0.1:9101 or [::]:9101")),
            default("127.0.0.1:9101");
    }
    families {}
}
