//! A store that fails on demand: what an object store may do to the creation of a log entry.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Semaphore;

/// What happens to the next creation of a log entry.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The store fails and does nothing.
    BeforeEffect,
    /// The store does it and fails to say so.
    AfterEffect,
    /// The store fails, and does it once a reader has found nothing there.
    Late,
    /// The store refuses as if the entry were there, and it is not: S3's 409 for requests that cross.
    RefusedWithoutObject,
    /// The store does it when the gate opens.
    HeldBefore(Arc<Gate>),
    /// The store does it, and fails to say so when the gate opens.
    HeldAfter(Arc<Gate>),
}

/// Where a request waits until the case lets it go on.
#[derive(Debug)]
pub struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub fn new() -> Arc<Gate> {
        Arc::new(Gate { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Waits until a request waits at the gate.
    pub async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Lets the request go on.
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }
}

/// A store with faults to come.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Mutex<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    next: VecDeque<Fault>,
    /// What happens when there is no next one.
    always: Option<Fault>,
    /// Reads of log entries that succeed before those that fail, and how many fail then.
    sound_reads: usize,
    failing_reads: usize,
    /// A creation that is still under way.
    late: Option<(Path, PutPayload)>,
    creations: usize,
}

impl FaultyStore {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Arc<FaultyStore> {
        Arc::new(FaultyStore { inner, faults: Mutex::default() })
    }

    /// What happens to the next creations, in order.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().next.extend(faults);
    }

    /// What happens to every creation from now on.
    pub fn always(&self, fault: Fault) {
        self.faults.lock().unwrap().always = Some(fault);
    }

    /// Lets `count` reads of log entries fail, once so many succeeded.
    pub fn fail_reads(&self, once_succeeded: usize, count: usize) {
        let mut faults = self.faults.lock().unwrap();
        (faults.sound_reads, faults.failing_reads) = (once_succeeded, count);
    }

    /// Creations of log entries that were tried.
    pub fn creations(&self) -> usize {
        self.faults.lock().unwrap().creations
    }

    fn take_fault(&self) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        faults.creations += 1;
        faults.next.pop_front().or_else(|| faults.always.clone())
    }

    /// Whether the next read fails, and the creation that is to happen after a read of `location`.
    fn before_read(&self, location: &Path) -> (bool, Option<PutPayload>) {
        let mut faults = self.faults.lock().unwrap();
        let fails = faults.sound_reads == 0 && faults.failing_reads > 0;
        faults.failing_reads -= usize::from(fails);
        faults.sound_reads = faults.sound_reads.saturating_sub(1);
        let late = faults.late.take_if(|(path, _)| path == location).map(|(_, payload)| payload);
        (fails, late)
    }
}

fn is_entry(location: &Path) -> bool {
    location.as_ref().contains("_delta_log/") && location.as_ref().ends_with(".json")
}

fn unavailable() -> Error {
    Error::Generic { store: "faulty", source: "503 Service Unavailable".into() }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let fault = if is_entry(location) { self.take_fault() } else { None };
        match fault {
            None => self.inner.put_opts(location, payload, opts).await,
            Some(Fault::BeforeEffect) => Err(unavailable()),
            Some(Fault::AfterEffect) => {
                self.inner.put_opts(location, payload, opts).await.and(Err(unavailable()))
            }
            Some(Fault::Late) => {
                self.faults.lock().unwrap().late = Some((location.clone(), payload));
                Err(unavailable())
            }
            Some(Fault::RefusedWithoutObject) => Err(Error::AlreadyExists {
                path: location.to_string(),
                source: "409 ConditionalRequestConflict".into(),
            }),
            Some(Fault::HeldBefore(gate)) => {
                gate.pass().await;
                self.inner.put_opts(location, payload, opts).await
            }
            Some(Fault::HeldAfter(gate)) => {
                let result = self.inner.put_opts(location, payload, opts).await;
                gate.pass().await;
                result.and(Err(unavailable()))
            }
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !is_entry(location) {
            return self.inner.get_opts(location, options).await;
        }
        let (fails, late) = self.before_read(location);
        if fails {
            return Err(unavailable());
        }
        let result = self.inner.get_opts(location, options).await;
        if let Some(payload) = late {
            let create = object_store::PutMode::Create.into();
            self.inner.put_opts(location, payload, create).await?;
        }
        result
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
