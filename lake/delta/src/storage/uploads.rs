//! Unfinished uploads in parts, which occupy space in a bucket and which no listing of objects shows.
//!
//! `object_store` can end such an upload and does not list them, so the listing is a request of our own
//! (`ListMultipartUploads`), signed as the library signs its own. MinIO answers it with nothing, and ends uploads by itself
//! after a day.

use std::sync::Arc;
use std::time::Duration;

use lake_config::LakeSettings;
use lake_model::Timestamp;
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use url::Url;

use super::fault::element;
use crate::error::LakeError;

/// The most pages of a listing that one run reads, a thousand uploads each.
const MOST_PAGES: usize = 100;

/// A bucket, beyond what every store can do.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    s3: Arc<AmazonS3>,
    client: HttpClient,
    /// The lake's prefix, without a slash at its end.
    prefix: String,
    region: String,
    is_signed: bool,
}

/// An upload that has begun.
#[derive(Debug, PartialEq, Eq)]
struct Upload {
    key: String,
    id: String,
    began_at: Timestamp,
}

impl Bucket {
    pub(super) fn new(
        s3: Arc<AmazonS3>,
        client: HttpClient,
        prefix: &Path,
        settings: &LakeSettings,
    ) -> Bucket {
        let option = |name: &str| settings.storage.get(name).map(String::as_str);
        let region = option("region").or_else(|| option("default_region")).unwrap_or("us-east-1");
        Bucket {
            s3,
            client,
            prefix: prefix.to_string(),
            region: region.to_owned(),
            is_signed: option("skip_signature").is_none_or(|given| given != "true"),
        }
    }

    /// Ends uploads to files of `tables` that began before the instant `before`, up to `most`; returns how many. A store that
    /// does not list uploads is reported, and nothing is ended there.
    pub(super) async fn abort_uploads(
        &self,
        tables: &[&str],
        before: Timestamp,
        most: usize,
        dry_run: bool,
    ) -> Result<usize, LakeError> {
        let mut ended = 0;
        for table in tables {
            let prefix = match self.prefix.as_str() {
                "" => format!("{table}/"),
                prefix => format!("{prefix}/{table}/"),
            };
            let uploads = match self.uploads(&prefix).await {
                Ok(uploads) => uploads,
                Err(problem) => {
                    tracing::warn!(
                        problem,
                        "unfinished uploads can't be listed: allow s3:ListBucketMultipartUploads, or set a lifecycle rule \
                         of the bucket that ends them (AbortIncompleteMultipartUpload)"
                    );
                    return Ok(ended);
                }
            };
            let left = uploads.iter().filter(|upload| upload.began_at < before);
            for Upload { key, id, .. } in left.take(most - ended) {
                if !dry_run {
                    self.abort(key, id).await?;
                }
                ended += 1;
            }
        }
        Ok(ended)
    }

    async fn abort(&self, key: &str, id: &String) -> Result<(), LakeError> {
        let action = || LakeError::storage(format!("end the unfinished upload of {key}"));
        let path = Path::parse(key).map_err(|error| action()(error.into()))?;
        match self.s3.abort_multipart(&path, id).await {
            // Somebody else was faster.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(action()(error)),
        }
    }

    /// The unfinished uploads of keys that begin with `prefix`.
    async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>, String> {
        let (mut found, mut marker) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self.page(prefix, marker.as_ref()).await?;
            found.extend(page.split("<Upload>").skip(1).filter_map(upload));
            let next = ["NextKeyMarker", "NextUploadIdMarker"].map(|name| element(&page, name));
            marker = match next {
                [Some(key), Some(id)] if element(&page, "IsTruncated") == Some("true") => {
                    Some((unescaped(key), unescaped(id)))
                }
                _ => return Ok(found),
            };
        }
        Ok(found)
    }

    async fn page(&self, prefix: &str, after: Option<&(String, String)>) -> Result<String, String> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let method = request.method().clone();
        // The library says where its bucket is by where an object of it would be.
        let object = self.s3.signed_url(method, &Path::from("x"), Duration::from_secs(60)).await;
        let mut url: Url = object.map_err(|error| error.to_string())?;
        url.set_query(None);
        let path = url.path().strip_suffix("/x").unwrap_or_default().to_owned();
        url.set_path(&path);
        let mut query = url.query_pairs_mut();
        query.append_pair("uploads", "").append_pair("prefix", prefix);
        if let Some((key, id)) = after {
            query.append_pair("key-marker", key).append_pair("upload-id-marker", id);
        }
        drop(query);
        *request.uri_mut() = url.as_str().parse().map_err(|_| format!("{url} is no address"))?;
        if self.is_signed {
            let credential = self.s3.credentials().get_credential().await;
            let credential = credential.map_err(|error| error.to_string())?;
            AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        }
        let response = self.client.execute(request).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.bytes().await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if parts.status.is_success() { Ok(text) } else { Err(format!("{}: {text}", parts.status)) }
    }
}

/// An upload by its part of the listing, if that can be read.
fn upload(listed: &str) -> Option<Upload> {
    Some(Upload {
        key: unescaped(element(listed, "Key")?),
        id: unescaped(element(listed, "UploadId")?),
        began_at: Timestamp::parse_event(element(listed, "Initiated")?)?,
    })
}

/// A text of XML as it was before it was one.
fn unescaped(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}
