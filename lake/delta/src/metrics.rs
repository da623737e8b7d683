//! What each metric of commits means, for whoever reads them.

use ::metrics::describe_counter;

/// Describes each metric.
pub fn describe() {
    describe_counter!(
        "lambdalake_commit_retries_total",
        "Requests of a commit that were tried again, by table"
    );
    describe_counter!(
        "lambdalake_commit_conflicts_total",
        "Commits decided again because another writer was faster, by table"
    );
}
