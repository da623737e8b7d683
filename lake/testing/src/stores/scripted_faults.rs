//! A store on which what happens to the next log entries is written down in advance: what an object store may do to
//! their creation, and reads that fail.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_store::path::Path;
use object_store::{Error, ObjectStore, PutMode, PutPayload, Result};
use tokio::sync::Semaphore;

use super::{Intercept, Intercepted, Request};

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
    /// A gate that is shut.
    pub fn new() -> Arc<Gate> {
        Arc::new(Gate { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Waits until a request waits at the gate.
    pub async fn reached(&self) {
        self.reached.acquire().await.expect("it is never closed").forget();
    }

    /// Lets the request go on.
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.expect("it is never closed").forget();
    }
}

/// What is to happen to log entries, in order.
#[derive(Debug)]
pub struct ScriptedFaults {
    /// The store that late creations reach.
    behind: Arc<dyn ObjectStore>,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
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

impl ScriptedFaults {
    /// The store `behind`, with faults to come.
    pub fn on(behind: Arc<dyn ObjectStore>) -> Arc<Intercepted<ScriptedFaults>> {
        let faults = ScriptedFaults { behind: Arc::clone(&behind), script: Mutex::default() };
        Intercepted::new(behind, faults)
    }

    /// What happens to the next creations, in order.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script().next.extend(faults);
    }

    /// What happens to every creation from now on.
    pub fn always(&self, fault: Fault) {
        self.script().always = Some(fault);
    }

    /// Lets `count` reads of log entries fail, once so many succeeded.
    pub fn fail_reads(&self, once_succeeded: usize, count: usize) {
        let mut script = self.script();
        (script.sound_reads, script.failing_reads) = (once_succeeded, count);
    }

    /// Creations of log entries that were tried.
    pub fn creations(&self) -> usize {
        self.script().creations
    }

    /// The next creation of a log entry.
    async fn create<T>(
        &self,
        location: &Path,
        payload: &PutPayload,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.take_fault() {
            None => operation.await,
            Some(Fault::BeforeEffect) => Err(unavailable()),
            Some(Fault::AfterEffect) => operation.await.and(Err(unavailable())),
            Some(Fault::Late) => {
                self.script().late = Some((location.clone(), payload.clone()));
                Err(unavailable())
            }
            Some(Fault::RefusedWithoutObject) => Err(Error::AlreadyExists {
                path: location.to_string(),
                source: "409 ConditionalRequestConflict".into(),
            }),
            Some(Fault::HeldBefore(gate)) => {
                gate.pass().await;
                operation.await
            }
            Some(Fault::HeldAfter(gate)) => {
                let result = operation.await;
                gate.pass().await;
                result.and(Err(unavailable()))
            }
        }
    }

    /// A read of a log entry.
    async fn read<T>(
        &self,
        location: &Path,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let (fails, late) = self.before_read(location);
        if fails {
            return Err(unavailable());
        }
        let result = operation.await;
        if let Some(payload) = late {
            self.behind.put_opts(location, payload, PutMode::Create.into()).await?;
        }
        result
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_fault(&self) -> Option<Fault> {
        let mut script = self.script();
        script.creations += 1;
        script.next.pop_front().or_else(|| script.always.clone())
    }

    /// Whether the next read fails, and the creation that is to happen after a read of `location`.
    fn before_read(&self, location: &Path) -> (bool, Option<PutPayload>) {
        let mut script = self.script();
        let fails = script.sound_reads == 0 && script.failing_reads > 0;
        script.failing_reads -= usize::from(fails);
        script.sound_reads = script.sound_reads.saturating_sub(1);
        let late = script.late.take_if(|(path, _)| path == location).map(|(_, payload)| payload);
        (fails, late)
    }
}

impl Intercept for ScriptedFaults {
    async fn around<T: Send>(
        &self,
        request: Request<'_>,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match request {
            Request::Put { location, payload } if is_entry(location) => {
                self.create(location, payload, operation).await
            }
            Request::Get { location } if is_entry(location) => self.read(location, operation).await,
            _ => operation.await,
        }
    }
}

fn is_entry(location: &Path) -> bool {
    location.as_ref().contains("_delta_log/") && location.as_ref().ends_with(".json")
}

fn unavailable() -> Error {
    Error::Generic { store: "test", source: "503 Service Unavailable".into() }
}
