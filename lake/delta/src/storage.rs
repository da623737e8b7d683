//! Where the lake is: an object store rooted at `lake.uri`, on S3, MinIO, disk or in memory.
//!
//! S3 commits rely on conditional put (`If-None-Match: *`), which `object_store` uses for `PutMode::Create`.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use lake_config::LakeSettings;
use lake_model::{Clock, IdSource, Timestamp};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use percent_encoding::percent_decode_str;
use url::Url;
use uuid::Uuid;

use crate::error::LakeError;
use crate::spec::TableSpec;

/// How tables are kept: what the settings say of it, which hold the defaults.
#[derive(Clone, Copy, Debug)]
pub struct TableOptions {
    /// How long removed files stay in the log and in the store.
    pub deleted_file_retention: Duration,
    /// How long log entries stay once a checkpoint holds them.
    pub log_retention: Duration,
    /// Commits between checkpoints.
    pub checkpoint_interval: u64,
    /// For how long a commit is tried in the face of failures of the store.
    pub retry_timeout: Duration,
}

impl From<&LakeSettings> for TableOptions {
    fn from(settings: &LakeSettings) -> TableOptions {
        TableOptions {
            deleted_file_retention: settings.deleted_file_retention,
            log_retention: settings.log_retention,
            checkpoint_interval: settings.checkpoint_interval,
            retry_timeout: settings.retry_timeout,
        }
    }
}

/// An opened lake.
#[derive(Clone, Debug)]
pub struct Lake {
    /// Rooted at the lake.
    store: Arc<dyn ObjectStore>,
    /// Rooted where the paths of URLs begin: at the bucket, or at the root folder of a disk.
    root: Arc<dyn ObjectStore>,
    url: Url,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    options: TableOptions,
}

impl Lake {
    /// Opens the lake that the settings name. Nothing is asked of the store yet, but that a local folder
    /// can be made.
    pub fn open(
        settings: &LakeSettings,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Lake, LakeError> {
        let options = TableOptions::from(settings);
        let place = match settings.uri.strip_prefix("s3://") {
            Some(rest) => s3_store(rest, settings)?,
            None => local_store(&settings.uri)?,
        };
        Ok(Lake { store: place.store, root: place.root, url: place.url, clock, ids, options })
    }

    /// A lake on a store that the caller made, such as one in memory or one that injects faults.
    pub fn on_store(
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        options: TableOptions,
    ) -> Lake {
        let url = Url::parse("memory:///").expect("it is a URL");
        Lake { root: Arc::clone(&store), store, url, clock, ids, options }
    }

    /// The same lake with its store decorated, so that requests for tables pass through what `decorate` returns.
    #[must_use]
    pub fn decorated(
        self,
        decorate: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Lake {
        Lake { store: decorate(self.store), ..self }
    }

    /// Where the lake is, for messages.
    pub fn uri(&self) -> &str {
        self.url.as_str()
    }

    /// The URL of a table.
    pub fn table_url(&self, table: impl Into<&'static TableSpec>) -> Url {
        let mut url = self.url.clone();
        let folder = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{folder}/{}/", table.into().name));
        url
    }

    /// The store rooted at a table.
    pub fn table_store(&self, table: impl Into<&'static TableSpec>) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.store), Path::from(table.into().name)))
    }

    /// The store that the path of [`Lake::table_url`] is a path in.
    pub(crate) fn root_store(&self) -> &Arc<dyn ObjectStore> {
        &self.root
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An id that nothing else has.
    pub fn unique_id(&self) -> Uuid {
        self.ids.unique_id()
    }

    /// The clock that the lake was opened with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The source of ids that the lake was opened with.
    pub fn ids(&self) -> &Arc<dyn IdSource> {
        &self.ids
    }

    /// How tables are kept.
    pub fn options(&self) -> &TableOptions {
        &self.options
    }
}

/// A store of an opened lake.
struct Place {
    store: Arc<dyn ObjectStore>,
    root: Arc<dyn ObjectStore>,
    url: Url,
}

fn local_store(uri: &str) -> Result<Place, LakeError> {
    let failed = |problem: &dyn std::fmt::Display| {
        LakeError::Configuration(format!(
            "lake.uri = {uri:?}: {problem}; name a folder that this user may write"
        ))
    };
    let folder = match uri.strip_prefix("file://") {
        Some(path) => percent_decode_str(path).decode_utf8().map_err(|error| failed(&error))?,
        None => uri.into(),
    };
    std::fs::create_dir_all(&*folder).map_err(|error| failed(&error))?;
    let folder = FilePath::new(&*folder).canonicalize().map_err(|error| failed(&error))?;
    let url = Url::from_directory_path(&folder).map_err(|()| failed(&"not an absolute folder"))?;
    let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| failed(&error))?;
    Ok(Place { store: Arc::new(store), root: Arc::new(LocalFileSystem::new()), url })
}

fn s3_store(bucket_and_prefix: &str, settings: &LakeSettings) -> Result<Place, LakeError> {
    let (bucket, prefix) = bucket_and_prefix.split_once('/').unwrap_or((bucket_and_prefix, ""));
    let bad = |error: &dyn std::fmt::Display| {
        LakeError::Configuration(format!("lake.uri = \"s3://{bucket_and_prefix}\": {error}"))
    };
    let built = s3_builder(bucket, settings)?.build();
    let built = built.map_err(|error| option_at_fault(settings).unwrap_or_else(|| bad(&error)))?;
    let root: Arc<dyn ObjectStore> = Arc::new(built);
    let url = Url::parse(&format!("s3://{bucket}/{prefix}")).map_err(|error| bad(&error))?;
    let store: Arc<dyn ObjectStore> = match prefix.trim_matches('/') {
        "" => Arc::clone(&root),
        prefix => Arc::new(PrefixStore::new(Arc::clone(&root), Path::from(prefix))),
    };
    Ok(Place { store, root, url })
}

/// The error that names the option which no store can be built with, whatever the others are: the library's does not.
fn option_at_fault(settings: &LakeSettings) -> Option<LakeError> {
    settings.storage.iter().find_map(|(name, value)| {
        let good = AmazonS3Builder::new().with_bucket_name("bucket").with_region("us-east-1");
        let good = good.with_access_key_id("id").with_secret_access_key("key");
        let error = good.with_config(name.parse().ok()?, value).build().err()?;
        let value = settings.storage.describe(name);
        Some(LakeError::Configuration(format!(
            "lake.storage.{name} = {value:?}: {error}; correct it, or remove it"
        )))
    })
}

fn s3_builder(bucket: &str, settings: &LakeSettings) -> Result<AmazonS3Builder, LakeError> {
    let client = ClientOptions::new()
        .with_timeout(settings.request_timeout)
        .with_connect_timeout(settings.request_timeout.min(Duration::from_secs(5)));
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
        max_retries: 1000,
        retry_timeout: settings.retry_timeout,
    };
    // Not from the environment: the settings hold its variables already, checked.
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client)
        .with_retry(retry)
        .with_bucket_name(bucket);
    for (name, value) in &settings.storage {
        let key: AmazonS3ConfigKey = name.parse().map_err(|_| {
            LakeError::Configuration(format!("lake.storage.{name} is no option of an S3 store"))
        })?;
        builder = builder.with_config(key, value);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_runtime::{RandomIds, SystemClock};

    fn refused(options: &[(&str, &str)]) -> String {
        let mut settings = lake_config::Settings::default().lake;
        settings.uri = "s3://bucket".to_owned();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        settings.storage = options.iter().map(owned).collect();
        let error = Lake::open(&settings, Arc::new(SystemClock), Arc::new(RandomIds))
            .expect_err("it can't be opened");
        assert!(matches!(error, LakeError::Configuration(_)));
        error.to_string()
    }

    #[test]
    fn an_option_that_no_store_can_be_built_with_is_named() {
        let message = refused(&[("access_key_id", "id"), ("connect_timeout", "soon")]);
        assert!(message.contains("lake.storage.connect_timeout = \"soon\""), "{message}");
    }

    #[test]
    fn a_secret_option_that_no_store_can_be_built_with_is_not_shown() {
        let key = [("server_side_encryption", "sse-c"), ("sse_customer_key_base64", "hunter2")];
        let message = refused(&key);
        assert!(!message.contains("hunter2"), "{message}");
    }
}
