//! Charges the requests of a store to stages: data files to uploading, entries of logs to committing.
//!
//! The stages follow each other on one thread, so that the request under way is the only thing that happens. What follows
//! the creation of a log entry is part of the commit, until the next stage begins.

use lake_testing::stores::{Intercept, Request};
use object_store::Result;

use crate::costs::{SharedMeter, Stage};

/// The meter that requests are charged on.
#[derive(Debug)]
pub(super) struct Metering(pub(super) SharedMeter);

impl Intercept for Metering {
    async fn around<T: Send>(
        &self,
        request: Request<'_>,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match request {
            Request::Get { .. } => operation.await,
            Request::Put { location, .. } if location.as_ref().contains("_delta_log/") => {
                self.0.enter(Stage::Commit);
                operation.await
            }
            Request::Put { .. } | Request::PutMultipart => {
                let before = self.0.enter(Stage::Upload);
                let result = operation.await;
                self.0.resume(before);
                result
            }
        }
    }
}
