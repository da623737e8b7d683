//! `[lake]`: where the tables are, and the options of the object store.
//!
//! Once settings are loaded, the options of an S3 lake are all there are: the `AWS_…` variables are
//! among them, and names are the short ones that `AmazonS3ConfigKey` reads (`access_key_id`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rules::LAKE_URI;
use crate::family::{NameError, Rules};
use crate::key::{default, section};
use crate::kind::{Count, Property, duration};
use crate::properties::{Properties, is_secret};
use crate::units::{CENTURY, DAY, HOUR, MILLISECOND, SECOND};

section! {
    /// Where the tables are, and how their logs are kept.
    pub struct LakeSettings in "lake" {
        /// Where the tables are: a path, file:///path or s3://bucket/prefix. A relative path counts from
        /// the folder of the settings file, or from the current one if there is no file.
        uri: String = LAKE_URI, default("./lake");

        /// Longest wait for one request to the store.
        request_timeout: Duration = duration(100 * MILLISECOND, HOUR), default("30s");

        /// Longest time that one operation on the store is tried again for.
        retry_timeout: Duration = duration(100 * MILLISECOND, DAY), default("3m");

        /// How long a file stays after its removal from a table: at least as long as the longest query.
        deleted_file_retention: Duration = duration(SECOND, CENTURY), default("1h");

        /// How long the entries of a table's log stay once a checkpoint holds them, and so how far back
        /// time travel goes. At least lake.deleted_file_retention, and four times lake.retry_timeout.
        log_retention: Duration = duration(SECOND, CENTURY), default("1d");

        /// Commits from one checkpoint of a table's log to the next.
        checkpoint_interval: u64 = Count { min: 1, max: 10_000 }, default("100");
    }
    families {
        /// Options of an S3 lake, by the names of object_store's AmazonS3ConfigKey. The variables AWS_… give
        /// the same (AWS_ACCESS_KEY_ID), and these win over them. Credentials are needed: a key and its
        /// secret, a web identity token, those of a container, or on a machine with a role
        /// `metadata_endpoint = "http://169.254.169.254"`.
        storage: Properties, of String = Rules {
            kind: &Property,
            check_name: check_option,
            is_secret,
            keeps_case: false,
            examples: &[
                ("endpoint", "http://127.0.0.1:9000"),
                ("region", "us-east-1"),
                ("access_key_id", "lambdalake"),
                ("secret_access_key", "…"),
                ("allow_http", "true"),
            ],
        };
    }
}

/// Makes a relative path of a lake one from `folder`.
pub(crate) fn resolve(uri: &mut String, folder: &Path) {
    let is_address = uri.starts_with("s3://") || uri.starts_with("file://");
    if !is_address && !folder.as_os_str().is_empty() && Path::new(uri.as_str()).is_relative() {
        // Without the "." of "./lake".
        let path: PathBuf = folder.join(uri.as_str()).components().collect();
        *uri = path.to_string_lossy().into_owned();
    }
}

/// Other names are checked with the options of S3, which a lake on disk does not have.
fn check_option(name: &str) -> Result<(), NameError> {
    if name.is_empty() { Err(NameError::Malformed("the name of an option")) } else { Ok(()) }
}
