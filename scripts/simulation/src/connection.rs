//! What one process sees of the store: every request takes time, and some go wrong.
//!
//! A request waits, and takes effect at a millisecond of its own. A write is on its way once it is made: it may
//! take effect after its client has given up or died. Listings come in pages, one request each, so that they
//! lag behind changes that are made meanwhile; a single page is consistent, as S3 is.
//!
//! Requests from other threads (the deltalake library's executor, while the runtime's clock stands still) go
//! straight to the store: they can't wait on the runtime's timers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::time::{sleep, sleep_until};

use crate::clock::Clock;
use crate::faults::{Fate, Faults};
use crate::process::Process;
use crate::store::{Store, already_exists, generic, precondition};
use crate::trace::Trace;

/// A process's connection to the store.
#[derive(Clone)]
pub struct Connection {
    process: Arc<Process>,
    store: Arc<Store>,
    faults: Arc<Faults>,
    clock: Arc<Clock>,
    trace: Trace,
    page: usize,
    /// How often what was asked for.
    asked: Arc<Mutex<BTreeMap<(&'static str, String), u64>>>,
}

impl Connection {
    /// The connection of `process`.
    pub fn new(
        process: &Arc<Process>,
        store: &Arc<Store>,
        faults: &Arc<Faults>,
        clock: &Arc<Clock>,
        trace: &Trace,
    ) -> Connection {
        // The real stores' pages of 1,000 names would never end in a log of this size.
        let page = faults.draw(&["page", process.name()]).between(3, 60);
        Connection {
            process: Arc::clone(process),
            store: Arc::clone(store),
            faults: Arc::clone(faults),
            clock: Arc::clone(clock),
            trace: trace.clone(),
            page: usize::try_from(page).unwrap_or(60),
            asked: Arc::default(),
        }
    }

    fn fate(&self, kind: &'static str, path: &str) -> Fate {
        let nth = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let nth = asked.entry((kind, path.to_owned())).or_default();
            *nth += 1;
            *nth
        };
        let now_ms = self.clock.elapsed_ms();
        let fate = self.faults.fate(self.process.name(), kind, path, nth, now_ms);
        if let Some(name) = fate.name() {
            self.trace.count(name);
        }
        fate
    }

    /// Dies here if that is due.
    async fn die(&self, is_due: bool) {
        if is_due {
            self.trace.say(&format!("{} is killed at a request", self.process.name()));
            self.process.kill();
            std::future::pending::<()>().await;
        }
    }

    /// Makes a request that changes the store.
    async fn write<T: Send + 'static>(
        &self,
        kind: &'static str,
        path: &Path,
        effect: impl FnOnce(&Store, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if !self.clock.is_home() {
            return effect(&self.store, self.process.name());
        }
        self.process.gate().await;
        let put = (kind != "delete").then(|| path.as_ref());
        let death = self.process.dies_at_request(put);
        self.die(death == Some(false)).await;
        let fate = self.fate(kind, path.as_ref());
        let answer = match fate {
            Fate::Done(wait) => self.effect(wait, effect).await,
            Fate::AnsweredLate(wait) => {
                let answer = self.effect(Duration::ZERO, effect).await;
                sleep(wait).await;
                answer
            }
            Fate::FailedBefore(wait) => self.after(wait, slow_down()).await,
            Fate::Refused(wait) => self.after(wait, already_exists(path)).await,
            Fate::FailedAfter(wait) => self.effect(wait, effect).await.and(Err(broken_off())),
            Fate::ToldExists(wait) => self.effect(wait, effect).await.and(Err(precondition(path))),
            Fate::Hung { answer, effect: at } => {
                let late = at.map(|wait| self.send(wait, effect));
                sleep(answer).await;
                drop(late);
                Err(timed_out())
            }
        };
        self.die(death == Some(true)).await;
        self.process.gate().await;
        answer
    }

    async fn effect<T: Send + 'static>(
        &self,
        wait: Duration,
        effect: impl FnOnce(&Store, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.send(wait, effect).await.unwrap_or_else(|_| Err(broken_off()))
    }

    /// Sends a request on its way: it takes effect whatever becomes of its sender, or half of the time if
    /// that one is killed before.
    fn send<T: Send + 'static>(
        &self,
        wait: Duration,
        effect: impl FnOnce(&Store, &str) -> Result<T> + Send + 'static,
    ) -> tokio::task::JoinHandle<Result<T>> {
        let at = self.clock.reserve(wait);
        let (process, store) = (Arc::clone(&self.process), Arc::clone(&self.store));
        let now_ms = self.clock.elapsed_ms().to_string();
        let is_under_way = self.faults.draw(&[process.name(), &now_ms]).happens(500);
        let trace = self.trace.clone();
        tokio::spawn(async move {
            sleep_until(at).await;
            if process.is_killed() {
                if !is_under_way {
                    return Err(broken_off());
                }
                trace.count("effect after its process died");
            }
            effect(&store, process.name())
        })
    }

    async fn after<T>(&self, wait: Duration, error: Error) -> Result<T> {
        sleep_until(self.clock.reserve(wait)).await;
        Err(error)
    }

    /// Makes a request that changes nothing.
    async fn read<T>(
        &self,
        kind: &'static str,
        path: &str,
        read: impl FnOnce(&Store) -> Result<T> + Send,
    ) -> Result<T> {
        if !self.clock.is_home() {
            return read(&self.store);
        }
        self.process.gate().await;
        let death = self.process.dies_at_request(None);
        self.die(death.is_some()).await;
        let answer = match self.fate(kind, path) {
            Fate::Done(wait) => {
                sleep_until(self.clock.reserve(wait)).await;
                read(&self.store)
            }
            Fate::AnsweredLate(wait) => {
                sleep_until(self.clock.reserve(Duration::ZERO)).await;
                let found = read(&self.store);
                sleep(wait).await;
                found
            }
            Fate::Hung { answer, .. } => self.after(answer, timed_out()).await,
            Fate::FailedAfter(wait) => self.after(wait, broken_off()).await,
            Fate::FailedBefore(wait) | Fate::Refused(wait) | Fate::ToldExists(wait) => {
                self.after(wait, slow_down()).await
            }
        };
        self.process.gate().await;
        answer
    }

    /// The page of a listing that comes after `after`.
    async fn next_page(self, prefix: String, after: Option<String>) -> Result<Vec<ObjectMeta>> {
        let count = if self.clock.is_home() { self.page } else { usize::MAX };
        let name = format!("{prefix} after {}", after.as_deref().unwrap_or_default());
        self.read("list", &name, |store| Ok(store.page(&prefix, after.as_deref(), count))).await
    }

    async fn delete_one(self, location: Result<Path>) -> Result<Path> {
        let location = location?;
        let path = location.clone();
        let effect = move |store: &Store, by: &str| {
            store.delete(by, &path);
            Ok(())
        };
        self.write("delete", &location, effect).await?;
        Ok(location)
    }
}

#[async_trait]
impl ObjectStore for Connection {
    async fn put_opts(&self, to: &Path, bytes: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let kind = if opts.mode == PutMode::Create { "create" } else { "put" };
        let (path, bytes) = (to.clone(), Bytes::from(bytes));
        let effect = move |store: &Store, by: &str| store.put(by, &path, bytes, &opts.mode);
        let tag = self.write(kind, to, effect).await?;
        Ok(PutResult { e_tag: Some(tag), version: None })
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        _opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(generic(format!("{to} is put in parts, for which nothing here is large enough")))
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        let kind = if options.head { "head" } else { "get" };
        self.read(kind, from.as_ref(), |store| store.get(from, &options)).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let connection = self.clone();
        locations.then(move |location| connection.clone().delete_one(location)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.map(Path::to_string).unwrap_or_default();
        let connection = self.clone();
        let pages = stream::try_unfold(Some(None), move |at: Option<Option<String>>| {
            let (connection, prefix) = (connection.clone(), prefix.clone());
            async move {
                let Some(after) = at else { return Ok(None) };
                let page = connection.next_page(prefix, after).await?;
                let next = page.last().map(|last| Some(last.location.to_string()));
                Ok::<_, Error>(Some((page, next)))
            }
        });
        pages.map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.map(Path::to_string).unwrap_or_default();
        self.read("list", &prefix, |store| Ok(store.folder(&prefix))).await
    }

    async fn copy_opts(&self, from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(generic(format!("{from} is copied, which no part of the pipeline does")))
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.process.name())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn slow_down() -> Error {
    generic("503 SlowDown".to_owned())
}

fn broken_off() -> Error {
    generic("the connection broke before the answer came".to_owned())
}

fn timed_out() -> Error {
    generic("the request timed out".to_owned())
}
