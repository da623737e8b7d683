//! The options of S3: names, values and credentials, with the `AWS_…` variables beneath them.
//!
//! Credentials are asked for here because `object_store` turns to the instance-metadata service when it has
//! none, which on any other machine hangs for minutes before it fails.

use std::collections::BTreeMap;

use object_store::aws::AmazonS3ConfigKey;

use crate::entry::{Entry, Source};
use crate::error::Problems;
use crate::given::Given;
use crate::kind::Text;
use crate::sections::lake::{KEYS, LakeSettings};
use crate::table;

/// Options that another setting decides, and which.
const REFUSED: [(&str, &str); 2] = [
    ("bucket", "lake.uri names the bucket"),
    ("timeout", "lake.request_timeout is the setting for it"),
];

/// Options that are true or false.
const SWITCHES: [&str; 14] = [
    "allow_http",
    "allow_invalid_certificates",
    "disable_tagging",
    "http1_only",
    "http2_keep_alive_while_idle",
    "http2_only",
    "imdsv1_fallback",
    "randomize_addresses",
    "request_payer",
    "s3_express",
    "skip_signature",
    "sse_bucket_key_enabled",
    "unsigned_payload",
    "virtual_hosted_style_request",
];

/// Options that become a part of the address of a request.
const ADDRESSES: [&str; 6] = [
    "aws_endpoint_url_s3",
    "container_credentials_full_uri",
    "container_credentials_relative_uri",
    "endpoint",
    "endpoint_url_sts",
    "metadata_endpoint",
];

/// The text of options that become a part of an address. `object_store` panics at other characters, when it makes a request.
const ADDRESS: Text = Text {
    expected: "only characters that a URL has, no blanks and no line break, and no credentials before an \"@\"",
    holds: |text| consists_of(text, b"-._~:/?#[]!$&'()*+,;=%"),
};

/// The text of a region.
const REGION: Text = Text {
    expected: "only letters, digits, \".\", \"_\" and \"-\"",
    holds: |text| consists_of(text, b"._-"),
};

/// The text of a certificate, which has several lines.
const ANY: Text = Text { expected: "a text", holds: |_| true };

/// The text of other options, many of which become headers of requests.
const LINE: Text = Text {
    expected: "a text without line breaks and control characters",
    holds: |text| !text.contains(char::is_control),
};

/// The S3-specific endpoint, which `object_store` prefers to `endpoint`; it has no shorter name.
const S3_ENDPOINT: &str = "aws_endpoint_url_s3";

const CREDENTIALS: &str = "set lake.storage.access_key_id and lake.storage.secret_access_key, or the \
     variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (profiles in ~/.aws are not read); on a \
     machine with a role set lake.storage.metadata_endpoint = \"http://169.254.169.254\", for a public \
     bucket lake.storage.skip_signature = true";

/// Options that name a provider of credentials, the option that each needs beside it, and what is
/// wrong without that.
const PROVIDERS: [(&str, &str, &str); 2] = [
    (
        "web_identity_token_file",
        "role_arn",
        "lake.storage.role_arn (or AWS_ROLE_ARN) is missing beside the web identity token",
    ),
    (
        "container_credentials_full_uri",
        "container_authorization_token_file",
        "lake.storage.container_authorization_token_file (or \
         AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE) is missing beside the credentials' address",
    ),
];

/// An option, by the name that it was given under.
struct Choice {
    key: String,
    value: String,
    source: Source,
}

impl Choice {
    fn entry(&self) -> Entry {
        Entry::text(&self.value, self.source.clone()).with_secrecy(table::is_secret(&self.key))
    }
}

/// All options, by the one name that [`canonical`] gives each.
type Choices = BTreeMap<String, Choice>;

/// Checks the options of an S3 lake, and adds those of the environment. Other lakes need none.
pub fn complete(lake: &mut LakeSettings, given: &Given, problems: &mut Problems) {
    if !lake.uri.starts_with("s3://") || problems.concern(KEYS.uri.name) {
        return;
    }
    let mut choices = from_settings(lake, given, problems);
    add_variables(&mut choices, given);
    check_values(&choices, problems);
    check_endpoint(&choices, problems);
    if let Some(missing) = missing_credentials(&choices) {
        let uri = Entry::text(&lake.uri, Source::Default);
        let fault = format!("expected credentials with an S3 address, but {missing}");
        let entry = given.get(KEYS.uri.name).unwrap_or(&uri);
        problems.with_key(KEYS.uri.name, entry, fault, CREDENTIALS);
    }
    lake.storage = choices.into_iter().map(|(name, choice)| (name, choice.value)).collect();
}

/// The shortest name of an option.
fn canonical(option: AmazonS3ConfigKey) -> String {
    let long = option.as_ref();
    let short = long.strip_prefix("aws_").unwrap_or(long);
    let is_read = short.parse().is_ok_and(|read: AmazonS3ConfigKey| read == option);
    if is_read { short.to_owned() } else { long.to_owned() }
}

fn from_settings(lake: &LakeSettings, given: &Given, problems: &mut Problems) -> Choices {
    let mut choices = Choices::new();
    for (name, value) in &lake.storage {
        let key = format!("{}{name}", KEYS.storage.prefix);
        let Some(entry) = given.get(&key) else { continue };
        match accept(name, value, &choices) {
            Ok(name) => {
                let (value, source) = (value.clone(), entry.source.clone());
                choices.insert(name, Choice { key, value, source });
            }
            Err((fault, remedy)) => problems.with_key(&key, entry, fault, remedy),
        }
    }
    choices
}

/// The one name of an option, or what is wrong with it and what to do.
fn accept(name: &str, value: &str, choices: &Choices) -> Result<String, (String, String)> {
    let Ok(option) = name.parse() else {
        let fault = "expected the name of an S3 option of object_store".to_owned();
        return Err((fault, format!("use one such as {}", common_names())));
    };
    let name = canonical(option);
    if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err((format!("expected no such option: {reason}"), "remove it".to_owned()));
    }
    if value.is_empty() {
        return Err(("expected a value".to_owned(), "remove it, or give it one".to_owned()));
    }
    if let Some(other) = choices.get(&name) {
        let fault = format!("expected each option once, but {} is the same", other.key);
        return Err((fault, "remove one of the two".to_owned()));
    }
    Ok(name)
}

fn common_names() -> String {
    KEYS.storage.rules.examples.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Adds the variables that no setting overrides. A session token belongs to the secret that it came with.
fn add_variables(choices: &mut Choices, given: &Given) {
    let overridden = [("secret_access_key", "session_token"), ("endpoint", S3_ENDPOINT)]
        .map(|(setting, variable)| choices.contains_key(setting).then_some(variable));
    for (variable, value) in given.aws.iter().filter(|(_, value)| !value.is_empty()) {
        let Ok(option) = variable.to_ascii_lowercase().parse() else { continue };
        let name = canonical(option);
        let refused = REFUSED.iter().any(|(refused, _)| *refused == name);
        if refused || overridden.contains(&Some(name.as_str())) {
            continue;
        }
        choices.entry(name).or_insert_with(|| Choice {
            key: variable.clone(),
            value: value.clone(),
            source: Source::Environment(variable.clone()),
        });
    }
}

fn check_values(choices: &Choices, problems: &mut Problems) {
    for (name, choice) in choices {
        let rule = text_rule(name);
        let (fault, remedy) = if SWITCHES.contains(&name.as_str()) && truth(&choice.value).is_none()
        {
            ("true or false", format!("try {} = true", choice.key))
        } else if name == "conditional_put" && choice.value.trim() != "etag" {
            ("\"etag\", because commits rely on conditional put", "remove it".to_owned())
        } else if !(rule.holds)(&choice.value) {
            (rule.expected, "correct it".to_owned())
        } else {
            continue;
        };
        problems.with_key(&choice.key, &choice.entry(), format!("expected {fault}"), remedy);
    }
}

/// What the text of an option must be.
fn text_rule(name: &str) -> Text {
    match name {
        "region" | "default_region" => REGION,
        "proxy_ca_certificate" => ANY,
        name if ADDRESSES.contains(&name) => ADDRESS,
        _ => LINE,
    }
}

fn consists_of(text: &str, punctuation: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(&byte))
}

fn check_endpoint(choices: &Choices, problems: &mut Problems) {
    let Some(endpoint) = choices.get(S3_ENDPOINT).or_else(|| choices.get("endpoint")) else {
        return;
    };
    let is_reported =
        |name: &str| choices.get(name).is_some_and(|choice| problems.concern(&choice.key));
    if problems.concern(&endpoint.key) {
        return;
    }
    let url = url::Url::parse(&endpoint.value).ok().filter(|url| url.has_host());
    match url.as_ref().map(url::Url::scheme) {
        Some("https") => {}
        Some("http") if is_on(choices, "allow_http") || is_reported("allow_http") => {}
        Some("http") => {
            let fault = "expected lake.storage.allow_http = true with an http:// endpoint";
            let remedy = "set lake.storage.allow_http = true, or use https://";
            problems.with_key(&endpoint.key, &endpoint.entry(), fault, remedy);
        }
        _ => {
            let fault = "expected a URL such as https://s3.example.org or http://127.0.0.1:9000";
            let remedy = format!("try {} = \"http://127.0.0.1:9000\"", endpoint.key);
            problems.with_key(&endpoint.key, &endpoint.entry(), fault, remedy);
        }
    }
}

/// What is not set of the credentials, if that leaves S3 without any.
fn missing_credentials(choices: &Choices) -> Option<&'static str> {
    if is_on(choices, "skip_signature") {
        return None;
    }
    match ["access_key_id", "secret_access_key"].map(|name| choices.contains_key(name)) {
        [true, true] => None,
        [true, false] => {
            Some("lake.storage.secret_access_key (or AWS_SECRET_ACCESS_KEY) is missing")
        }
        [false, true] => Some("lake.storage.access_key_id (or AWS_ACCESS_KEY_ID) is missing"),
        [false, false] => missing_provider(choices),
    }
}

/// What is not set of the providers of credentials, where there is no key.
fn missing_provider(choices: &Choices) -> Option<&'static str> {
    let has = |name: &str| choices.contains_key(name);
    if let Some((_, other, missing)) = PROVIDERS.iter().find(|(option, ..)| has(option)) {
        return (!has(other)).then_some(*missing);
    }
    let has_provider = has("container_credentials_relative_uri")
        || has("metadata_endpoint")
        || is_on(choices, "imdsv1_fallback");
    (!has_provider).then_some(
        "lake.storage.access_key_id (or AWS_ACCESS_KEY_ID) and lake.storage.secret_access_key (or \
         AWS_SECRET_ACCESS_KEY) are missing, and no other provider is named",
    )
}

fn is_on(choices: &Choices, name: &str) -> bool {
    choices.get(name).is_some_and(|choice| truth(&choice.value) == Some(true))
}

/// A switch as `object_store` reads it.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" | "y" => Some(true),
        "0" | "false" | "off" | "no" | "n" => Some(false),
        _ => None,
    }
}
