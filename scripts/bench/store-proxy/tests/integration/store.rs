//! A store of a few lines: it remembers every request, byte for byte, and answers by method. And a client that sends bytes.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a store sees.
#[derive(Debug, PartialEq)]
pub enum Seen {
    Connection,
    /// The lines of a request's head.
    Head(Vec<String>),
    /// A part of its body.
    Body(Vec<u8>),
}

pub struct Store {
    pub address: String,
    pub seen: UnboundedReceiver<Seen>,
}

impl Store {
    pub async fn start() -> Store {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, seen) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer_all(stream, tell.clone()));
            }
        });
        Store { address, seen }
    }

    /// The next head that it sees.
    pub async fn head(&mut self) -> Vec<String> {
        loop {
            if let Seen::Head(lines) = self.seen.recv().await.unwrap() {
                return lines;
            }
        }
    }
}

async fn answer_all(stream: TcpStream, tell: UnboundedSender<Seen>) {
    tell.send(Seen::Connection).unwrap();
    let mut stream = BufReader::new(stream);
    loop {
        let head = head_of(&mut stream).await;
        if head.is_empty() {
            return;
        }
        let (method, mut left) = (head[0].split(' ').next().unwrap().to_owned(), length_of(&head));
        tell.send(Seen::Head(head)).unwrap();
        while left > 0 {
            let mut part = vec![0; left];
            let read = stream.read(&mut part).await.unwrap();
            if read == 0 {
                return;
            }
            tell.send(Seen::Body(part[..read].to_vec())).unwrap();
            left -= read;
        }
        let answer: &[u8] = match method.as_str() {
            "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\nETag: \"x\"\r\n\r\n",
            "PUT" => b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 8\r\n\r\n<Error/>",
            // The rest of it follows.
            "POST" => b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nx-amz-Thing: Kept\r\n\r\ncontent",
        };
        stream.write_all(answer).await.unwrap();
    }
}

/// A client with one connection.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub async fn connect(address: &str) -> Client {
        Client(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The lines of the next answer's head.
    pub async fn head(&mut self) -> Vec<String> {
        head_of(&mut self.0).await
    }

    pub async fn read(&mut self, length: usize) -> String {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Sends a request without a body, and returns the first line and the body of the answer.
    pub async fn ask(&mut self, request_line: &str) -> (String, String) {
        self.send(&format!("{request_line} HTTP/1.1\r\nHost: signed\r\n\r\n")).await;
        let head = self.head().await;
        let length = if request_line.starts_with("HEAD") { 0 } else { length_of(&head) };
        (head[0].clone(), self.read(length).await)
    }
}

async fn head_of(stream: &mut BufReader<TcpStream>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        match line.trim_end() {
            "" => return lines,
            line => lines.push(line.to_owned()),
        }
    }
}

fn length_of(head: &[String]) -> usize {
    let found = head
        .iter()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    found.unwrap_or(0)
}
