//! The command line: the store, the clients with their listeners, and the times to add.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use hyper::http::uri::{Authority, Scheme, Uri};

use crate::delays::Delays;
use crate::kind::Kind;

const EXAMPLES: &str = "\
Examples:
  Two programs before a MinIO, each with a port of its own, at the times of S3:
    store-proxy --to http://127.0.0.1:9000 --client speed-layer=127.0.0.1:9001 \\
      --client serving=127.0.0.1:9002
    LAKEHOUSE__LAKE__STORAGE__ENDPOINT=http://127.0.0.1:9001 speed-layer run

  Free ports; the line on standard output names them:
    store-proxy --to http://127.0.0.1:9000 --client duckdb=127.0.0.1:0
    {\"admin\":\"127.0.0.1:40001\",\"clients\":{\"duckdb\":\"127.0.0.1:40002\"}}
    curl http://127.0.0.1:40001/counts

  Only counting, and a store that lists slowly:
    store-proxy --to http://127.0.0.1:9000 --client a=127.0.0.1:0 --delay get=0ms \\
      --delay head=0ms --delay put=0ms --delay post=0ms --delay delete=0ms --delay list=1s

Requests are passed on unchanged, with the Host header that the client sent, because signatures
cover it. Bytes are those of bodies. LIST is a GET of a bucket; a POST that deletes many objects
is a DELETE.
SIGTERM and SIGINT end the program; requests under way are cut off.
Exit codes: 0 done, 2 usage, 3 an external failure (an address in use).";

/// Stands before an S3 store: adds the times of a real one, and counts who asks it for what.
#[derive(Debug, Parser)]
#[command(name = "store-proxy", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The store
    #[arg(long, value_name = "http://HOST:PORT", value_parser = parse_store)]
    pub to: Authority,
    /// A client, and the address where it finds the store; port 0 picks a free one. Repeat it for each client
    #[arg(long = "client", value_name = "NAME=ADDRESS", required = true, value_parser = parse_client)]
    pub clients: Vec<(String, SocketAddr)>,
    /// Where GET /counts is answered; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = parse_address)]
    pub admin: SocketAddr,
    /// Time added to each request of a kind before it is answered [default: get and head 30ms; put, post and delete 60ms;
    /// list 100ms; other 0ms]
    #[arg(long = "delay", value_name = "KIND=DURATION", value_parser = parse_delay)]
    pub delays: Vec<(Kind, Duration)>,
}

impl Cli {
    /// The times to add.
    pub fn delays(&self) -> Delays {
        let mut delays = Delays::default();
        self.delays.iter().for_each(|(kind, delay)| delays.set(*kind, *delay));
        delays
    }

    /// A name that two clients have.
    pub fn repeated_client(&self) -> Option<&str> {
        let names = self.clients.iter().map(|(name, _)| name);
        names
            .enumerate()
            .find(|(at, name)| self.clients[..*at].iter().any(|(other, _)| other == *name))
            .map(|(_, name)| &**name)
    }
}

fn parse_store(text: &str) -> Result<Authority, String> {
    let fault = "expected http://HOST:PORT, such as http://127.0.0.1:9000, without TLS or a path";
    let store: Uri = text.parse().map_err(|_| fault.to_owned())?;
    let is_bare = store.path() == "/" && store.query().is_none();
    match store.authority() {
        Some(host) if is_bare && store.scheme() == Some(&Scheme::HTTP) => Ok(host.clone()),
        _ => Err(fault.to_owned()),
    }
}

fn parse_client(text: &str) -> Result<(String, SocketAddr), String> {
    let fault = "expected NAME=ADDRESS, such as serving=127.0.0.1:0, with a name of letters, digits, - and _";
    let (name, address) = text.split_once('=').ok_or(fault)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(fault.to_owned());
    }
    Ok((name.to_owned(), parse_address(address)?))
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("'{text}': expected an IP address and a port, such as 127.0.0.1:0"))
}

fn parse_delay(text: &str) -> Result<(Kind, Duration), String> {
    let (kind, delay) = text.split_once('=').ok_or("expected KIND=DURATION, such as get=30ms")?;
    let names = || Kind::ALL.map(|kind| kind.name().to_lowercase()).join(", ");
    let kind = Kind::named(kind).ok_or_else(|| format!("'{kind}': expected one of {}", names()))?;
    let delay = humantime::parse_duration(delay)
        .map_err(|error| format!("'{delay}': expected a duration such as 30ms ({error})"))?;
    Ok((kind, delay))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, String> {
        let usual = ["store-proxy", "--to", "http://127.0.0.1:9000"];
        Cli::try_parse_from(usual.iter().chain(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_those_of_s3_unless_they_are_given() {
        let cli =
            parse(&["--client", "a=127.0.0.1:0", "--delay", "list=1s", "--delay", "HEAD=0ms"])
                .expect("a command line");
        let delays = cli.delays();
        let found = Kind::ALL.map(|kind| delays.of(kind).as_millis());
        assert_eq!(found, [30, 0, 60, 60, 1000, 60, 0]);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_what_was_expected() {
        for (arguments, expected) in [
            (&["--client", "a"][..], "expected NAME=ADDRESS"),
            (&["--client", "a b=127.0.0.1:0"], "with a name of letters"),
            (&["--client", "a=9000"], "'9000': expected an IP address and a port"),
            (
                &["--client", "a=127.0.0.1:0", "--delay", "copy=1s"],
                "expected one of get, head, put",
            ),
            (
                &["--client", "a=127.0.0.1:0", "--delay", "get=soon"],
                "expected a duration such as 30ms",
            ),
            (&[], "--client <NAME=ADDRESS>"),
        ] {
            let fault = parse(arguments).expect_err(expected);
            assert!(fault.contains(expected), "{fault}");
        }
        for store in [
            "https://127.0.0.1:9000",
            "127.0.0.1:9000",
            "http://127.0.0.1:9000/lake",
            "http://127.0.0.1:9000?a",
        ] {
            assert!(parse_store(store).expect_err(store).contains("expected http://HOST:PORT"));
        }
    }

    #[test]
    fn a_name_that_two_clients_have_is_found() {
        let clients = |names: [&str; 3]| names.map(|name| format!("--client={name}=127.0.0.1:0"));
        let repeated = |names| {
            let given = clients(names);
            let cli = parse(&given.each_ref().map(String::as_str)).expect("a command line");
            cli.repeated_client().map(str::to_owned)
        };
        assert_eq!(repeated(["a", "b", "c"]), None);
        assert_eq!(repeated(["a", "b", "a"]), Some("a".to_owned()));
    }
}
