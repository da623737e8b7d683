//! `[pipeline]`: the pipeline's name and its time zone.

use super::rules::{PIPELINE_NAME, TIME_ZONE};
use crate::key::{default, section};

section! {
    /// What the pipeline is called, and whose days it counts.
    pub struct Pipeline in "pipeline" {
        /// Names the pipeline in the transactions of the tables, beside its offsets. It is written into
        /// the tables when they are created, and another one is refused from then on.
        name: String = PIPELINE_NAME, default("camera-speeds");

        /// The time zone whose calendar days are counted. It is written into the tables when they are
        /// created, and another one is refused from then on.
        timezone: String = TIME_ZONE, default("UTC");
    }
    families {}
}
