//! What a request asks of an S3 store, as its price list distinguishes it. Pure: only the method and the address of the
//! request decide.
//!
//! Addresses are path-style (`/bucket/key`), which is what programs use with an endpoint of their own.

use std::fmt;

use hyper::{Method, Uri};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object or a part of it.
    Get,
    /// An object's size and time.
    Head,
    /// An object, a part of an upload, or a copy.
    Put,
    /// The beginning and the end of an upload in parts.
    Post,
    /// The names of objects or uploads, and everything else that is asked of a bucket.
    List,
    /// The end of one object, of many, or of an upload that is given up.
    Delete,
    /// Any other request.
    Other,
}

impl Kind {
    /// All of them, in the order of reports.
    pub const ALL: [Kind; 7] =
        [Kind::Get, Kind::Head, Kind::Put, Kind::Post, Kind::List, Kind::Delete, Kind::Other];

    /// The kind of a request.
    pub fn of(method: &Method, address: &Uri) -> Kind {
        match *method {
            Method::GET if has_parameter(address, "list-type") || !has_key(address) => Kind::List,
            Method::GET => Kind::Get,
            Method::HEAD => Kind::Head,
            Method::PUT => Kind::Put,
            // Deletes many objects.
            Method::POST if has_parameter(address, "delete") => Kind::Delete,
            Method::POST => Kind::Post,
            Method::DELETE => Kind::Delete,
            _ => Kind::Other,
        }
    }

    /// Its name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Get => "GET",
            Kind::Head => "HEAD",
            Kind::Put => "PUT",
            Kind::Post => "POST",
            Kind::List => "LIST",
            Kind::Delete => "DELETE",
            Kind::Other => "OTHER",
        }
    }

    /// The kind with this name, in any case.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the address names an object, and not only a bucket.
fn has_key(address: &Uri) -> bool {
    let bucket_and_key = address.path().strip_prefix('/').unwrap_or_default();
    bucket_and_key.split_once('/').is_some_and(|(_, key)| !key.is_empty())
}

fn has_parameter(address: &Uri, name: &str) -> bool {
    let parameters = address.query().unwrap_or_default().split('&');
    parameters
        .map(|parameter| parameter.split_once('=').map_or(parameter, |(name, _)| name))
        .any(|found| found == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(request: &str) -> Kind {
        let (method, address) = request.split_once(' ').expect("a method and an address");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        Kind::of(&method, &address.parse().expect("an address"))
    }

    #[test]
    fn objects_are_read_and_written_by_their_methods() {
        assert_eq!(kind("GET /lake/events/a.parquet"), Kind::Get);
        assert_eq!(kind("GET /lake/events/a.parquet?versionId=1"), Kind::Get);
        assert_eq!(kind("HEAD /lake/events/a.parquet"), Kind::Head);
        assert_eq!(kind("PUT /lake/events/a.parquet"), Kind::Put);
        assert_eq!(kind("PUT /lake/events/a.parquet?partNumber=1&uploadId=u"), Kind::Put);
        assert_eq!(kind("POST /lake/events/a.parquet?uploads"), Kind::Post);
        assert_eq!(kind("POST /lake/events/a.parquet?uploadId=u"), Kind::Post);
        assert_eq!(kind("DELETE /lake/events/a.parquet"), Kind::Delete);
        assert_eq!(kind("DELETE /lake/events/a.parquet?uploadId=u"), Kind::Delete);
    }

    #[test]
    fn what_is_asked_of_a_bucket_is_a_list() {
        assert_eq!(kind("GET /lake?list-type=2&prefix=events%2F"), Kind::List);
        assert_eq!(kind("GET /lake/?prefix=events&list-type=2"), Kind::List);
        assert_eq!(kind("GET /lake?uploads&prefix=events"), Kind::List);
        assert_eq!(kind("GET /lake"), Kind::List);
        assert_eq!(kind("GET /"), Kind::List);
    }

    #[test]
    fn a_name_that_only_looks_like_a_parameter_is_none() {
        assert_eq!(kind("GET /lake/list-type=2/a"), Kind::Get);
        assert_eq!(kind("GET /lake/a?x-list-type=2"), Kind::Get);
        assert_eq!(kind("POST /lake/delete?uploads"), Kind::Post);
    }

    #[test]
    fn many_objects_that_are_deleted_by_one_post_are_a_delete() {
        assert_eq!(kind("POST /lake?delete"), Kind::Delete);
        assert_eq!(kind("POST /lake/?delete="), Kind::Delete);
    }

    #[test]
    fn every_kind_is_found_by_its_name_and_no_other_is() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(&kind.name().to_lowercase()), Some(kind));
        }
        assert_eq!(Kind::named("COPY"), None);
        assert_eq!(kind("OPTIONS /lake/a"), Kind::Other);
    }
}
