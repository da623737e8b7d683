//! The rules for texts: names, brokers, and where the lake is.

use std::net::IpAddr;

use lake_model::{Calendar, ZoneRules};

use crate::kind::{Hinted, Text};
use crate::similar::closest_zone;

/// The name of the pipeline. The tables' transactions are named `<pipeline>:<topic>:<partition>`.
pub(super) const PIPELINE_NAME: Text = Text {
    expected: "1 to 128 bytes without \":\", blanks or control characters",
    holds: |text| (1..=128).contains(&text.len()) && is_word(text) && !text.contains(':'),
};

/// A time zone.
pub(super) const TIME_ZONE: Hinted = Hinted {
    text: Text {
        expected: "an IANA time-zone name such as UTC or Europe/Moscow",
        holds: |text| Calendar::new(text).is_ok(),
    },
    hint: |text| {
        let zones = ZoneRules::names().filter(|name| Calendar::new(name).is_ok());
        closest_zone(text, zones.collect::<Vec<_>>()).map(|name| format!("did you mean {name:?}?"))
    },
};

/// A field of a JSON object.
pub(super) const FIELD: Text =
    Text { expected: "the name of a JSON field, not empty", holds: |text| !text.is_empty() };

/// Kafka's brokers.
pub(super) const BROKERS: Text = Text {
    expected: "host:port, several separated by commas, without blanks",
    holds: |text| text.split(',').all(is_host_and_port),
};

/// A topic, by Kafka's rules (`org.apache.kafka.common.internals.Topic`).
pub(super) const TOPIC: Text = Text {
    expected: "1 to 249 of the characters a-z, A-Z, 0-9, \".\", \"_\" and \"-\", not \".\" or \"..\"",
    holds: |text| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=249).contains(&text.len()) && text.bytes().all(legal) && !matches!(text, "." | "..")
    },
};

/// A consumer group.
pub(super) const GROUP: Text = Text {
    expected: "1 to 255 bytes without blanks or control characters",
    holds: |text| (1..=255).contains(&text.len()) && is_word(text),
};

/// Where the lake is.
pub(super) const LAKE_URI: Hinted =
    Hinted { text: LAKE_ADDRESS, hint: |text| shell_hint(text.trim_start_matches("file://")) };

const LAKE_ADDRESS: Text = Text {
    expected: "a path, file:///path or s3://bucket/prefix",
    holds: |text| {
        if begins_like_shell(text) {
            return false;
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return is_bucket_and_prefix(rest);
        }
        match text.strip_prefix("file://") {
            Some(path) => path.starts_with('/') && !path.contains(char::is_control),
            None => !text.is_empty() && !text.contains(char::is_control) && !has_scheme(text),
        }
    },
};

/// A file for metrics. Prometheus's textfile collector reads no other names.
pub(super) const PROM_FILE: Hinted = Hinted { text: PROM_PATH, hint: shell_hint };

const PROM_PATH: Text = Text {
    expected: "the path of a file whose name ends in .prom",
    holds: |text| {
        if begins_like_shell(text) {
            return false;
        }
        let name = text.rsplit('/').next().unwrap_or_default();
        name.len() > 5 && name.ends_with(".prom") && !text.contains('\0')
    },
};

/// A folder on this machine.
pub(super) const LOCAL_FOLDER: Hinted = Hinted { text: FOLDER_PATH, hint: shell_hint };

const FOLDER_PATH: Text = Text {
    expected: "the path of a folder on this machine",
    holds: |text| !begins_like_shell(text) && !text.contains('\0') && !text.contains("://"),
};

/// Whether `text` begins with what only a shell replaces by a folder: `~/lake`, `$HOME/lake`.
fn begins_like_shell(text: &str) -> bool {
    text.starts_with(['~', '$'])
}

fn shell_hint(text: &str) -> Option<String> {
    begins_like_shell(text).then(|| {
        "only a shell replaces ~ and $, and none reads this; write the whole path, such as \"/var/lib/lambdalake\" \
         (a folder that is really called so is \"./~…\")"
            .to_owned()
    })
}

fn is_word(text: &str) -> bool {
    !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port_is_good = digits && port.parse::<u16>().is_ok_and(|port| port > 0);
    port_is_good && is_host(host)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6());
    }
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !host.is_empty() && host.chars().all(legal)
}

fn is_bucket_and_prefix(text: &str) -> bool {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (3..=255).contains(&bucket.len())
        && bucket.bytes().all(legal)
        && !prefix.contains(|c: char| c.is_control() || matches!(c, '?' | '#'))
}

/// Whether `text` begins like a URL, `s3:/bucket` and the like included.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(legal)
}
