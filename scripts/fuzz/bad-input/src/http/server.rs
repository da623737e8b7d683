//! A server over a small table in memory, one per thread, asked without a socket.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, Uri, header};
use lake_config::Settings;
use lake_delta::{Commit, Lake, TableLog, data_file};
use lake_model::{Calendar, KafkaPartition, Speed, Timestamp};
use lake_runtime::telemetry;
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow};
use lake_tables::file_kind::ProvisionalGroup;
use lake_testing::{Observation, provisional_rows};
use serde_json::Value;
use serving::{App, router};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// Cameras of the table; the second has characters that a path must encode.
const CAMERAS: [&str; 4] = ["KV12345", "a/b %?#&+", "Камера", "~"];
/// When each camera saw a vehicle.
const TIMES: [&str; 4] = [
    "1970-01-01T00:00:00Z",
    "2025-04-05T10:15:30Z",
    "2025-04-05T10:20:00Z",
    "9999-12-30T23:59:59.999999Z",
];

/// The speeds that it saw then, in thousandths of km/h.
const SPEEDS: [u32; 3] = [50_000, 61_500, 85_201];

/// An answer with its body read.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or_default()
    }
}

/// The answer to a GET request for `uri`.
pub(super) fn get(uri: Uri) -> Answer {
    thread_local! {
        static SERVER: Server = Server::start();
    }
    SERVER.with(|server| server.get(uri))
}

struct Server {
    runtime: Runtime,
    router: Router,
}

impl Server {
    fn start() -> Server {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime on the present thread needs nothing");
        let router = runtime.block_on(loaded_router());
        Server { runtime, router }
    }

    fn get(&self, uri: Uri) -> Answer {
        let request = Request::get(uri).body(Body::empty()).expect("the target is one");
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await;
            let (head, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("bodies are in memory").into();
            let content_type = head.headers.get(header::CONTENT_TYPE);
            let content_type = content_type.and_then(|name| name.to_str().ok()).map(str::to_owned);
            Answer { status: head.status, content_type, body }
        })
    }
}

async fn loaded_router() -> Router {
    let lake = lake_testing::lake_in_memory();
    fill(&lake).await.expect("a table in memory can be written");
    let settings = Settings::default();
    let recorder = telemetry::install_metrics("serving", &settings.pipeline.name);
    let app = App::new(&lake, &settings, recorder);
    app.store().refresh().await.expect("a table in memory can be read");
    router(app)
}

async fn fill(lake: &Lake) -> Result<(), lake_delta::LakeError> {
    let mut log = TableLog::open_or_create(lake, Table::AvgSpeed, &[]).await?;
    let mut files = Vec::new();
    for (group, rows) in rows_by_file() {
        let new = group.new_file(lake.unique_id());
        let batch = avg_speed::batch(&rows);
        let file = data_file::write(lake, Table::AvgSpeed, new, &batch).await?;
        files.push(file);
    }
    let commit = Commit::new(lake, "WRITE").add(files);
    let _committed = log.try_commit(&commit).await?;
    Ok(())
}

/// The provisional rows of every camera, each with three events at every time.
fn rows_by_file() -> BTreeMap<ProvisionalGroup, Vec<AvgSpeedRow>> {
    let times = TIMES.map(|text| Timestamp::parse(text).expect("the times are good"));
    let events = CAMERAS.into_iter().flat_map(|camera| {
        times.into_iter().flat_map(move |time| {
            SPEEDS.map(|thousandths| Observation {
                camera,
                kafka_partition: KafkaPartition(0),
                time,
                speed: Speed::from_thousandths(thousandths),
            })
        })
    });
    provisional_rows(&Calendar::utc(), events, |_| None, times[2])
}
