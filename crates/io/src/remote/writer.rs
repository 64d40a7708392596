//! An object that is sent while it is written: in one piece if it is small, else in parts, some of them at once.

use super::runtime::{block, start};
use super::store::Inner;
use super::{PART, PARTS_AT_ONCE};
use crate::{ByteWriter, IoError, RemoteProblem};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore as _, PutMultipartOptions, PutOptions, PutPayload};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// An object on its way.
pub(super) struct RemoteWriter {
    inner: Arc<Inner>,
    key: String,
    path: Path,
    /// What was not sent yet, less than a part.
    buffer: Vec<u8>,
    upload: Option<Box<dyn MultipartUpload>>,
    parts: VecDeque<JoinHandle<Result<(), Error>>>,
}

impl RemoteWriter {
    pub(super) fn new(inner: Arc<Inner>, key: &str) -> Result<Self, IoError> {
        let path = inner.path(key)?;
        let (key, parts) = (key.to_owned(), VecDeque::new());
        Ok(Self { inner, key, path, buffer: Vec::new(), upload: None, parts })
    }

    fn given_up(&self) -> IoError {
        let problem = RemoteProblem::Other { why: "the request was given up".to_owned() };
        IoError::Remote { action: "write", url: self.inner.url(&self.key), problem }
    }

    fn fault(&self, error: Error) -> IoError {
        self.inner.fault("write", &self.key)(error)
    }

    fn send_part(&mut self, bytes: Vec<u8>) -> Result<(), IoError> {
        if self.upload.is_none() {
            let (inner, path) = (self.inner.clone(), self.path.clone());
            let begun =
                async move { inner.objects.put_multipart_opts(&path, PutMultipartOptions::default()).await };
            let begun = block(begun).ok_or_else(|| self.given_up())?;
            self.upload = Some(begun.map_err(|e| self.fault(e))?);
        }
        while self.parts.len() >= PARTS_AT_ONCE {
            self.settle()?;
        }
        if let Some(upload) = &mut self.upload {
            self.parts.push_back(start(upload.put_part(PutPayload::from(Bytes::from(bytes)))));
        }
        Ok(())
    }

    /// Waits for the oldest part.
    fn settle(&mut self) -> Result<(), IoError> {
        let Some(oldest) = self.parts.pop_front() else { return Ok(()) };
        match block(oldest) {
            Some(Ok(sent)) => sent.map_err(|e| self.fault(e)),
            _ => Err(self.given_up()),
        }
    }
}

impl ByteWriter for RemoteWriter {
    fn append(&mut self, mut bytes: &[u8]) -> Result<(), IoError> {
        while self.buffer.len() + bytes.len() > PART {
            let (now, later) = bytes.split_at(PART - self.buffer.len());
            self.buffer.extend_from_slice(now);
            bytes = later;
            let part = std::mem::take(&mut self.buffer);
            self.send_part(part)?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), IoError> {
        let last = std::mem::take(&mut self.buffer);
        if self.upload.is_none() {
            let (inner, path) = (self.inner.clone(), self.path.clone());
            let payload = PutPayload::from(Bytes::from(last));
            let sent = async move { inner.objects.put_opts(&path, payload, PutOptions::default()).await };
            let sent = block(sent).ok_or_else(|| self.given_up())?;
            return sent.map(|_| ()).map_err(|e| self.fault(e));
        }
        if !last.is_empty() {
            self.send_part(last)?;
        }
        while !self.parts.is_empty() {
            self.settle()?;
        }
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        let done = block(async move {
            let done = upload.complete().await;
            if done.is_err() {
                // Nothing can be done about parts that stay.
                let _ = upload.abort().await;
            }
            done
        });
        done.ok_or_else(|| self.given_up())?.map(|_| ()).map_err(|e| self.fault(e))
    }
}

impl Drop for RemoteWriter {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let parts = std::mem::take(&mut self.parts);
        let gone = block(async move {
            for part in parts {
                part.abort();
                let _ = part.await;
            }
            upload.abort().await
        });
        // Nothing can be done about parts that stay.
        let _ = gone;
    }
}
