//! Where the lake is: an object store rooted at `lake.uri`, on S3, MinIO, disk or in memory.
//!
//! All parts of the program reach the lake through that store alone, by paths that begin at the lake. `location` makes it.
//! The deltalake library wants a URL too: it gets one that ends before `lake.uri`'s path, in which it and we might see
//! different characters.
//!
//! S3 commits rely on conditional put (`If-None-Match: *`), which `object_store` uses for `PutMode::Create`; [`probe`] tries
//! it out. Faults that no retry cures are told apart by `fault`, and requests are observed by `attempts`.

mod attempts;
pub(crate) mod fault;
mod folder;
pub mod leftovers;
mod location;
mod notes;
pub mod probe;
mod uploads;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lake_config::LakeSettings;
use lake_model::{Clock, IdSource, Timestamp};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use url::Url;
use uuid::Uuid;

use self::attempts::ObservedConnector;
use self::location::Location;
use self::uploads::Bucket;

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
    /// What URLs of the store begin with: its kind, and the bucket if it is in one.
    url: Url,
    /// Where the lake is, for people.
    uri: String,
    /// The folder that it is in, if it is on disk.
    folder: Option<PathBuf>,
    /// The bucket that it is in, if it is on S3.
    bucket: Option<Bucket>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    options: TableOptions,
}

impl Lake {
    /// Opens the lake that the settings name. Nothing is asked of the store yet, and nothing is made: a
    /// folder that is missing is a lake without tables until something is written.
    pub fn open(
        settings: &LakeSettings,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Lake, LakeError> {
        let options = TableOptions::from(settings);
        let Location { store, url, uri, folder, bucket } = match settings.uri.strip_prefix("s3://")
        {
            Some(rest) => location::in_bucket(rest, settings)?,
            None => location::in_folder(&settings.uri)?,
        };
        Ok(Lake { store, url, uri, folder, bucket, clock, ids, options })
    }

    /// A lake on a store that the caller made, such as one in memory or one that injects faults.
    pub fn on_store(
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        options: TableOptions,
    ) -> Lake {
        let uri = "memory:///".to_owned();
        let url = Url::parse(&uri).expect("it is a URL");
        Lake { store, url, uri, folder: None, bucket: None, clock, ids, options }
    }

    /// Makes the folder of a lake on disk, for whoever creates tables.
    ///
    /// # Errors
    /// It can't be made; the message names `lake.uri`.
    pub fn make_folder(&self) -> Result<(), LakeError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        std::fs::create_dir_all(folder)
            .map_err(|error| location::cannot_be_a_lake(&self.uri, &error))
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
        &self.uri
    }

    /// The URL of a table in [`Lake::store`].
    pub(crate) fn table_url(&self, table: &TableSpec) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("/{}/", table.name));
        url
    }

    /// The store rooted at a table.
    pub fn table_store(&self, table: impl Into<&'static TableSpec>) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.store), Path::from(table.into().name)))
    }

    /// The store, rooted at the lake.
    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
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

/// How requests are sent.
fn client_options(settings: &LakeSettings) -> ClientOptions {
    let options = ClientOptions::new()
        .with_timeout(settings.request_timeout)
        .with_connect_timeout(settings.request_timeout.min(Duration::from_secs(5)));
    settings.storage.iter().fold(options, |options, (name, value)| {
        match name.parse::<ClientConfigKey>() {
            Ok(key) => options.with_config(key, value),
            Err(_) => options,
        }
    })
}

fn s3_builder(bucket: &str, settings: &LakeSettings) -> Result<AmazonS3Builder, LakeError> {
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
        max_retries: 1000,
        retry_timeout: settings.retry_timeout,
    };
    // Not from the environment: the settings hold its variables already, checked.
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client_options(settings))
        .with_http_connector(ObservedConnector)
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
