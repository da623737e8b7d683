//! The server on a real socket: its address, its answers, its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lake_config::Settings;
use lake_delta::Lake;
use lake_runtime::{RandomIds, SystemClock};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;
use serving::{Server, ServingError, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Settings of a lake in a folder, served at a free port.
fn settings(folder: &tempfile::TempDir) -> Settings {
    let mut settings = Settings::default();
    settings.lake.uri = folder.path().join("lake").display().to_string();
    settings.serving.listen = "127.0.0.1:0".parse().unwrap();
    settings
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

/// What the server at `address` answers to a request for `path`, head and body.
async fn get(address: SocketAddr, path: &str) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_server_answers_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::bind(&settings(&folder)).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let answer = get(address, "/health/live").await;
    assert!(answer.starts_with(OK), "{answer}");
    // A connection that stays open and idle does not keep the server from ending.
    let _idle = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_taken_address_is_an_outside_fault_that_names_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(&folder);
    settings.serving.listen = taken.local_addr().unwrap();
    let error = run(&settings, std::future::pending()).await.unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains(&format!("serving.listen = \"{}\"", settings.serving.listen)),
        "{message}"
    );
    assert!(message.contains("name another one"), "{message}");
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test]
async fn a_lake_that_cannot_be_opened_is_a_configuration_to_correct() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut settings = settings(&folder);
    settings.lake.uri = file.join("lake").display().to_string();
    let error = run(&settings, std::future::pending()).await.unwrap_err();
    assert!(matches!(error, ServingError::Lake(_)), "{error}");
    assert!(error.to_string().contains("lake.uri"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

/// Makes the table as the pipeline of `settings` does.
async fn create_table(settings: &Settings) {
    let lake = Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds)).unwrap();
    LakeIdentity::of(settings).open_or_create(&lake, Table::AvgSpeed).await.unwrap();
}

/// Changes the time zone. Returns what the refusal of a lake that was made before names.
fn with_another_zone(settings: &mut Settings) -> [&'static str; 3] {
    settings.pipeline.timezone = "Europe/Moscow".to_owned();
    ["pipeline.timezone = \"Europe/Moscow\"", "was made with \"UTC\"", "lake.uri"]
}

/// The same for the topic.
fn with_another_topic(settings: &mut Settings) -> [&'static str; 3] {
    settings.kafka.topic = "another-topic".to_owned();
    ["kafka.topic = \"another-topic\"", "was made with \"camera-events\"", "lake.uri"]
}

fn assert_refused(error: &ServingError, words: [&str; 3]) {
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(error.exit_code(), 2);
}

#[tokio::test]
async fn a_lake_of_another_pipeline_is_refused_at_start() {
    for change in [with_another_zone, with_another_topic] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder);
        create_table(&settings).await;
        let words = change(&mut settings);
        let error = run(&settings, std::future::pending()).await.unwrap_err();
        assert_refused(&error, words);
    }
}

#[tokio::test]
async fn a_lake_that_another_pipeline_makes_later_is_refused_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder);
    settings.serving.refresh_interval = Duration::from_millis(10);
    let made = settings.clone();
    let words = with_another_zone(&mut settings);
    let server = Server::bind(&settings).await.unwrap();
    let address = server.address();
    let running = tokio::spawn(server.run(std::future::pending()));
    // It answers while there is no table.
    TcpStream::connect(address).await.unwrap();
    assert!(!running.is_finished());
    create_table(&made).await;
    assert_refused(&running.await.unwrap().unwrap_err(), words);
}

#[tokio::test]
async fn a_lake_of_the_same_pipeline_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder);
    create_table(&settings).await;
    let server = Server::bind(&settings).await.unwrap();
    let address = server.address();
    let ready = async move { while !get(address, "/health/ready").await.starts_with(OK) {} };
    server.run(ready).await.unwrap();
}
