//! A folder as a store that need not be there: until something is put into it, it is an empty store and nothing is made
//! on disk. So a program that only reads leaves no trace of a folder that was named wrongly.

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// A folder that is made by the first object that is put into it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Set once the folder is there.
    files: OnceLock<LocalFileSystem>,
}

impl Folder {
    /// The folder at `path`, which is absolute.
    pub(super) fn at(path: PathBuf) -> Folder {
        Folder { path, files: OnceLock::new() }
    }

    /// The files of the folder, if it is there.
    fn found(&self) -> Result<Option<&LocalFileSystem>> {
        if self.files.get().is_none() {
            if !self.path.is_dir() {
                return Ok(None);
            }
            let files = LocalFileSystem::new_with_prefix(&self.path)?;
            return Ok(Some(self.files.get_or_init(|| files)));
        }
        Ok(self.files.get())
    }

    /// The files of the folder, which is made if it is missing.
    fn made(&self) -> Result<&LocalFileSystem> {
        if self.files.get().is_none() {
            std::fs::create_dir_all(&self.path)
                .map_err(|source| Error::Generic { store: "folder", source: source.into() })?;
        }
        self.found()?.ok_or_else(|| self.missing(&Path::default()))
    }

    fn missing(&self, location: &Path) -> Error {
        let source = format!("there is no folder {}", self.path.display()).into();
        Error::NotFound { path: location.to_string(), source }
    }

    fn holding(&self, location: &Path) -> Result<&LocalFileSystem> {
        self.found()?.ok_or_else(|| self.missing(location))
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folder({})", self.path.display())
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.made()?.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.made()?.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.holding(location)?.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.holding(&Path::default()) {
            Ok(files) => files.delete_stream(locations),
            Err(error) => failed(error),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.found() {
            Ok(Some(files)) => files.list(prefix),
            Ok(None) => stream::empty().boxed(),
            Err(error) => failed(error),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.found() {
            Ok(Some(files)) => files.list_with_offset(prefix, offset),
            Ok(None) => stream::empty().boxed(),
            Err(error) => failed(error),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.found()? {
            Some(files) => files.list_with_delimiter(prefix).await,
            None => Ok(ListResult { common_prefixes: Vec::new(), objects: Vec::new() }),
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.holding(from)?.copy_opts(from, to, options).await
    }
}

fn failed<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    stream::once(std::future::ready(Err(error))).boxed()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_an_empty_store_until_something_is_put() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a b").join("ü%41~");
        let folder = Folder::at(path.clone());
        let object = Path::from("events/_delta_log/0.json");
        assert!(matches!(folder.get(&object).await, Err(Error::NotFound { .. })));
        assert!(folder.list(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
        assert!(folder.list_with_delimiter(None).await.unwrap().objects.is_empty());
        assert!(!parent.path().join("a b").exists(), "reading makes nothing");

        folder.put(&object, "x".into()).await.unwrap();
        assert_eq!(std::fs::read(path.join("events/_delta_log/0.json")).unwrap(), b"x");
        assert_eq!(folder.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_folder_that_another_program_makes_is_seen() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("lake");
        let (reader, writer) = (Folder::at(path.clone()), Folder::at(path));
        assert!(reader.list(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
        writer.put(&Path::from("a"), "x".into()).await.unwrap();
        assert_eq!(reader.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 1);
    }
}
