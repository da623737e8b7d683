//! The proxy before a store of a few lines.

#![allow(clippy::unwrap_used, missing_docs)]

mod store;

use clap::Parser;
use futures::FutureExt;
use serde_json::{Value, json};
use store::{Client, Seen, Store};
use store_proxy::{Cli, Opened};

/// A running proxy with two clients, without added times unless `delays` gives them.
struct Running {
    addresses: Value,
}

impl Running {
    async fn start(store: &str, delays: &[&str]) -> Running {
        let none = ["get=0s", "head=0s", "put=0s", "post=0s", "list=0s", "delete=0s"];
        let delays = none.iter().chain(delays).map(|delay| format!("--delay={delay}"));
        let usual =
            ["store-proxy", "--client=a=127.0.0.1:0", "--client=b=127.0.0.1:0"].map(str::to_owned);
        let to = format!("--to=http://{store}");
        let cli = Cli::parse_from(usual.into_iter().chain([to]).chain(delays));
        let opened = Opened::open(&cli).await.unwrap();
        let addresses = opened.addresses().unwrap();
        tokio::spawn(opened.serve(std::future::pending()));
        Running { addresses }
    }

    async fn client(&self, name: &str) -> Client {
        Client::connect(self.addresses["clients"][name].as_str().unwrap()).await
    }

    async fn counts(&self) -> Value {
        let mut admin = Client::connect(self.addresses["admin"].as_str().unwrap()).await;
        let (status, body) = admin.ask("GET /counts").await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn a_request_reaches_the_store_as_the_client_has_signed_it() {
    let mut store = Store::start().await;
    let proxy = Running::start(&store.address, &[]).await;
    let head = [
        "PUT /lake/a%2Fb%20c//d=~%7E+e,%C3%A4?partNumber=1&uploadId=a%2Bb&empty= HTTP/1.1",
        "Host: another.example:1234",
        "Authorization: AWS4-HMAC-SHA256 Credential=x/20250405/us-east-1/s3/aws4_request",
        "X-Amz-Content-SHA256: UNSIGNED-PAYLOAD",
        "If-None-Match: *",
        "Content-Length: 4",
    ];
    let mut client = proxy.client("a").await;
    client.send(&format!("{}\r\n\r\nbody", head.join("\r\n"))).await;
    let found = store.head().await;
    assert_eq!(found[0], head[0]);
    let sorted =
        |lines: &[String]| lines.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(&found), sorted(&head.map(str::to_owned)));
    assert_eq!(store.seen.recv().await.unwrap(), Seen::Body(b"body".to_vec()));
    assert_eq!(client.head().await, ["HTTP/1.1 412 Precondition Failed", "Content-Length: 8"]);
    assert_eq!(client.read(8).await, "<Error/>");
}

#[tokio::test]
async fn connections_are_kept_and_heads_without_a_body_say_its_length() {
    let mut store = Store::start().await;
    let proxy = Running::start(&store.address, &[]).await;
    let mut client = proxy.client("a").await;
    client.send("HEAD /lake/a HTTP/1.1\r\nHost: signed\r\n\r\n").await;
    assert_eq!(client.head().await, ["HTTP/1.1 200 OK", "Content-Length: 70", "ETag: \"x\""]);
    assert_eq!(
        client.ask("GET /lake/a").await,
        ("HTTP/1.1 200 OK".to_owned(), "content".to_owned())
    );
    assert_eq!(store.seen.recv().await.unwrap(), Seen::Connection);
    for method in ["HEAD", "GET"] {
        let Seen::Head(head) = store.seen.recv().await.unwrap() else {
            panic!("another connection")
        };
        assert!(head[0].starts_with(method));
    }
}

#[tokio::test]
async fn bodies_pass_while_they_arrive_in_both_directions() {
    let mut store = Store::start().await;
    let proxy = Running::start(&store.address, &[]).await;
    let mut client = proxy.client("a").await;
    client
        .send("POST /lake/a?uploads HTTP/1.1\r\nHost: signed\r\nContent-Length: 8\r\n\r\nhalf")
        .await;
    store.head().await;
    assert_eq!(store.seen.recv().await.unwrap(), Seen::Body(b"half".to_vec()));
    client.send("rest").await;
    assert_eq!(store.seen.recv().await.unwrap(), Seen::Body(b"rest".to_vec()));
    // The store has sent only a part of what it has promised.
    assert_eq!(client.head().await[0], "HTTP/1.1 200 OK");
    assert_eq!(client.read(2).await, "fi");
}

#[tokio::test]
async fn each_client_and_kind_has_its_own_counts() {
    let store = Store::start().await;
    let proxy = Running::start(&store.address, &[]).await;
    let (mut a, mut b) = (proxy.client("a").await, proxy.client("b").await);
    for request in ["GET /lake/x", "GET /lake/y", "GET /lake?list-type=2&prefix=x", "HEAD /lake/x"]
    {
        a.ask(request).await;
    }
    b.send("PUT /lake/x HTTP/1.1\r\nHost: signed\r\nContent-Length: 5\r\n\r\nbytes").await;
    b.head().await;
    assert_eq!(b.read(8).await, "<Error/>");
    let ok = |requests: u64, down: u64| json!({ "requests": requests, "bytes_up": 0, "bytes_down": down, "answers": { "2xx": requests }, "unanswered": 0 });
    let refused = json!({ "requests": 1, "bytes_up": 5, "bytes_down": 8, "answers": { "4xx": 1 }, "unanswered": 0 });
    let expected = json!({ "clients": {
        "a": { "GET": ok(2, 14), "LIST": ok(1, 7), "HEAD": ok(1, 0) },
        "b": { "PUT": refused },
    }});
    assert_eq!(proxy.counts().await, expected);
}

#[tokio::test]
async fn only_the_kind_with_a_time_is_answered_later() {
    let mut store = Store::start().await;
    let proxy = Running::start(&store.address, &["put=1h"]).await;
    let (mut slow, mut quick) = (proxy.client("a").await, proxy.client("a").await);
    slow.send("PUT /lake/x HTTP/1.1\r\nHost: signed\r\nContent-Length: 0\r\n\r\n").await;
    store.head().await;
    for _ in 0..20 {
        quick.ask("GET /lake/x").await;
    }
    assert!(slow.head().now_or_never().is_none(), "the PUT is answered at once");
    let counts = proxy.counts().await;
    assert_eq!(counts["clients"]["a"]["PUT"]["answers"], json!({}));
    assert_eq!(counts["clients"]["a"]["GET"]["answers"], json!({ "2xx": 20 }));
}

#[tokio::test]
async fn an_added_time_passes() {
    let store = Store::start().await;
    let proxy = Running::start(&store.address, &["get=5ms"]).await;
    assert_eq!(proxy.client("a").await.ask("GET /lake/x").await.1, "content");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap().to_string();
    drop(listener);
    let proxy = Running::start(&nobody, &[]).await;
    let (status, body) = proxy.client("b").await.ask("GET /lake/x").await;
    assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
    assert!(body.starts_with(&format!("the store {nobody} did not answer: ")), "{body}");
    assert!(body.contains("refused"), "{body}");
    assert_eq!(proxy.counts().await["clients"]["b"]["GET"]["unanswered"], json!(1));
}

#[tokio::test]
async fn an_address_in_use_is_named_with_a_remedy() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let cli = Cli::parse_from([
        "store-proxy",
        "--to=http://127.0.0.1:1",
        &format!("--client=a={address}"),
    ]);
    let fault = format!("{:#}", Opened::open(&cli).await.unwrap_err());
    let expected =
        format!("--client a: listen on {address}; end what uses the port, or give port 0");
    assert!(fault.starts_with(&expected), "{fault}");
}

#[tokio::test]
async fn the_admin_answers_nothing_but_counts() {
    let proxy = Running::start("127.0.0.1:1", &[]).await;
    let mut admin = Client::connect(proxy.addresses["admin"].as_str().unwrap()).await;
    let (status, body) = admin.ask("GET /count").await;
    assert_eq!(
        (status.as_str(), body.as_str()),
        ("HTTP/1.1 404 Not Found", "GET /count: expected GET /counts\n")
    );
}
