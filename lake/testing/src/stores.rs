//! Stores with something in between: every request passes through an [`Intercept`] to the store behind it.
//!
//! [`Intercepted`] is the one half that every such store has in common, which hands requests on. What is in between
//! changes only the requests that it is about:
//!
//! - [`ScriptedFaults`]: what happens to the next creations of log entries is written down in advance
//! - [`FailingFrom`]: from some operation on, none succeeds
//! - [`Outage`]: all requests fail for as long as it lasts

mod failing_from;
mod outage;
mod scripted_faults;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

pub use self::failing_from::{FailingFrom, Failure};
pub use self::outage::Outage;
pub use self::scripted_faults::{Fault, Gate, ScriptedFaults};

/// A request to read or write an object.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// To put an object.
    Put {
        /// Where.
        location: &'a Path,
        /// What it holds.
        payload: &'a PutPayload,
    },
    /// To begin to put an object in parts.
    PutMultipart,
    /// To read an object, or what is known of it.
    Get {
        /// Where it is.
        location: &'a Path,
    },
}

/// What is between a store and those who use it.
pub trait Intercept: fmt::Debug + Send + Sync + 'static {
    /// Asked before every request, whatever it is for.
    ///
    /// # Errors
    /// The request fails with it, and nothing else is asked.
    fn admit(&self) -> Result<()> {
        Ok(())
    }

    /// What comes of a request to read or write an object; `operation` does what the store behind does with it.
    fn around<T: Send>(
        &self,
        request: Request<'_>,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send {
        let _ = request;
        operation
    }
}

/// A store with an `I` in between. It derefs to that, so that a test can tell it what to do.
#[derive(Debug)]
pub struct Intercepted<I> {
    behind: Arc<dyn ObjectStore>,
    between: I,
}

impl<I: Intercept> Intercepted<I> {
    /// The store `behind`, with `between` before it.
    pub fn new(behind: Arc<dyn ObjectStore>, between: I) -> Arc<Intercepted<I>> {
        Arc::new(Intercepted { behind, between })
    }
}

impl<I> Deref for Intercepted<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.between
    }
}

impl<I: Intercept> fmt::Display for Intercepted<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Intercepted({})", self.behind)
    }
}

#[async_trait]
impl<I: Intercept> ObjectStore for Intercepted<I> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.between.admit()?;
        let operation = self.behind.put_opts(location, payload.clone(), options);
        self.between.around(Request::Put { location, payload: &payload }, operation).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.between.admit()?;
        let operation = self.behind.put_multipart_opts(location, options);
        self.between.around(Request::PutMultipart, operation).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.between.admit()?;
        let operation = self.behind.get_opts(location, options);
        self.between.around(Request::Get { location }, operation).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.between.admit().map_or_else(failed, |()| self.behind.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.between.admit().map_or_else(failed, |()| self.behind.list(prefix))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.between.admit()?;
        self.behind.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.between.admit()?;
        self.behind.copy_opts(from, to, options).await
    }
}

fn failed<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    stream::iter([Err(error)]).boxed()
}

/// The failure of a store that is out of reach.
fn out_of_reach() -> Error {
    Error::Generic { store: "test", source: "the store is out of reach".into() }
}
