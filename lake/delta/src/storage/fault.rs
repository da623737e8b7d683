//! Faults of a store that no retry cures: which they are, and the setting at fault.
//!
//! They are recognised by what the store or the system says: the code in the body of a response of S3, the text of a TLS
//! library, the number of a system call's error. Whatever is not recognised may pass, and is tried again.

use std::error::Error;
use std::io;

use object_store::Error as StoreError;

/// A fault that stays until somebody changes a setting, a right or the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}{}", said.as_ref().map_or(String::new(), |said| format!(" (reported: {said})")))]
pub(crate) struct LastingFault {
    /// What is wrong.
    pub(super) what: &'static str,
    /// The setting at fault, and what to do.
    pub(super) remedy: String,
    /// The words of the store.
    pub(super) said: Option<String>,
    /// Whether it is the store that is out of order, and not the settings.
    pub(crate) is_outside: bool,
}

/// The most of a store's words that a message repeats.
const MOST_SAID: usize = 300;

const NO_HARD_LINKS: &str =
    "the file system under lake.uri can't make hard links, by which commits are made";
const USE_ANOTHER: &str =
    "set lake.uri to a folder on a local disk (ext4, xfs), or to s3://bucket/prefix";

impl LastingFault {
    fn new(what: &'static str, remedy: impl Into<String>) -> LastingFault {
        LastingFault { what, remedy: remedy.into(), said: None, is_outside: false }
    }

    /// A store that has never answered.
    pub(super) fn silent(said: &str) -> LastingFault {
        let fault = LastingFault::new(
            "the store does not answer",
            "see that it runs, and that lake.storage.endpoint (or AWS_ENDPOINT_URL) is its address, with the right one \
             of http:// and https://",
        );
        LastingFault { is_outside: true, ..fault.saying(said) }
    }

    fn saying(self, text: &str) -> LastingFault {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = (!text.is_empty()).then(|| text.chars().take(MOST_SAID).collect());
        LastingFault { said, ..self }
    }
}

/// A response of S3 that is no success.
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    /// Whether the request was to put an object only if there is none.
    pub(super) is_conditional: bool,
    /// The region that the bucket is in, by the response's headers.
    pub(super) region: Option<&'a str>,
    pub(super) body: &'a str,
}

/// What a response means, if it will be the same each time.
pub(super) fn of_response(refusal: &Refusal<'_>) -> Option<LastingFault> {
    let Refusal { status, is_conditional, body, .. } = *refusal;
    let code = element(body, "Code").unwrap_or_default();
    let region = refusal.region.or_else(|| element(body, "Region"));
    let said = element(body, "Message").unwrap_or(body);
    let fault = match (status, code) {
        _ if body.contains("HTTP request to an HTTPS server") => LastingFault::new(
            "the store expects TLS",
            "use https:// in lake.storage.endpoint (or AWS_ENDPOINT_URL)",
        ),
        (_, "NoSuchBucket") => LastingFault::new(
            "there is no such bucket",
            "create it, or correct the bucket in lake.uri",
        ),
        (301 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => {
            let remedy = match region {
                Some(region) => format!("set lake.storage.region = {region:?} (or AWS_REGION)"),
                None => "correct lake.storage.region (or AWS_REGION) and lake.storage.endpoint"
                    .to_owned(),
            };
            LastingFault::new("the bucket is in another region", remedy)
        }
        (_, "ExpiredToken" | "TokenRefreshRequired" | "InvalidToken" | "InvalidTokenId") => {
            LastingFault::new(
                "the session token has expired or is not valid",
                "renew lake.storage.access_key_id, secret_access_key and session_token (or \
                 AWS_SESSION_TOKEN), or name a provider of credentials that renews them",
            )
        }
        (_, "InvalidAccessKeyId") => LastingFault::new(
            "the store does not know the access key",
            "correct lake.storage.access_key_id (or AWS_ACCESS_KEY_ID)",
        ),
        (_, "SignatureDoesNotMatch") => LastingFault::new(
            "the secret is not that of the access key",
            "correct lake.storage.secret_access_key (or AWS_SECRET_ACCESS_KEY)",
        ),
        (_, "RequestTimeTooSkewed") => {
            LastingFault::new("the clock of this machine is not that of the store", "set the clock")
        }
        (405 | 501, _) | (400, "" | "InvalidArgument" | "InvalidRequest" | "NotImplemented")
            if is_conditional =>
        {
            LastingFault::new(
                "the store refuses to put an object only if there is none (If-None-Match), by which commits are made",
                "set lake.uri and lake.storage.endpoint to a store with conditional puts, such as Amazon S3 or MinIO",
            )
        }
        (501, _) => LastingFault::new(
            "the store does not know the request",
            "see that lake.storage.endpoint is the address of an S3 store",
        ),
        _ => return None,
    };
    Some(fault.saying(said))
}

/// The text of the first XML element with that name.
pub(super) fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

/// What a connection that could not be made means, if it will be the same each time.
pub(super) fn of_connection(error: &(dyn Error + 'static)) -> Option<LastingFault> {
    let texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    let says = |part: &str| texts.iter().any(|text| text.contains(part));
    let said = texts.last().map(String::as_str).unwrap_or_default();
    let fault = if says("Name or service not known") || says("No address associated") {
        LastingFault::new(
            "the store's host is unknown",
            "correct the host in lake.storage.endpoint (or AWS_ENDPOINT_URL), or the bucket in lake.uri",
        )
    } else if says("UnknownIssuer") || says("self-signed") || says("CaUsedAsEndEntity") {
        LastingFault::new(
            "the store's certificate is from an authority that this machine does not trust",
            "add the authority's certificate to those of the system, or name its file in the variable \
             SSL_CERT_FILE; lake.storage.allow_invalid_certificates = true would accept any",
        )
    } else if says("invalid peer certificate") {
        LastingFault::new(
            "the store's certificate is not valid for lake.storage.endpoint",
            "use the name in the certificate in lake.storage.endpoint, or renew the certificate",
        )
    } else if says("InvalidContentType") {
        LastingFault::new(
            "the store does not speak TLS",
            "use http:// in lake.storage.endpoint (or AWS_ENDPOINT_URL), with lake.storage.allow_http = true",
        )
    } else {
        return None;
    };
    Some(fault.saying(said))
}

/// The fault behind an error of a store, if it stays.
pub(crate) fn lasting_fault(error: &StoreError) -> Option<LastingFault> {
    let known = chain(error).find_map(|cause| cause.downcast_ref::<LastingFault>());
    known.cloned().or_else(|| of_system(error))
}

/// What the system refuses to do in a folder.
fn of_system(error: &StoreError) -> Option<LastingFault> {
    let system = chain(error).find_map(|cause| cause.downcast_ref::<io::Error>())?;
    // Rename is what the library calls the link by which it puts a file if there is none.
    let is_link = chain(error).any(|cause| cause.to_string().contains("Unable to rename file"));
    let fault = match (system.kind(), system.raw_os_error()?) {
        (_, libc::EOPNOTSUPP | libc::ENOSYS | libc::EMLINK | libc::EPERM) if is_link => {
            LastingFault::new(NO_HARD_LINKS, USE_ANOTHER)
        }
        (_, libc::EOPNOTSUPP | libc::ENOSYS) => LastingFault::new(
            "the file system under lake.uri lacks a call that is needed",
            USE_ANOTHER,
        ),
        (io::ErrorKind::ReadOnlyFilesystem, _) => LastingFault::new(
            "the file system under lake.uri is mounted read-only",
            "mount it for writing, or correct lake.uri",
        ),
        (io::ErrorKind::PermissionDenied, _) => LastingFault::new(
            "this user may not write under lake.uri",
            "give the user of the program the right to write there, or correct lake.uri",
        ),
        _ => return None,
    };
    Some(fault.saying(&system.to_string()))
}

/// The error and what it says caused it.
pub(super) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests;
