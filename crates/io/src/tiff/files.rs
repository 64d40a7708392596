//! The files that hold one image: their directories while it is opened, a few open handles afterwards.

use super::ifd::{Directory, Reader, tag};
use super::page::Page;
use crate::bytes::ByteFile;
use crate::{IoError, Remote};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are open at a time.
const MAX_OPEN: usize = 24;

/// Files and their pages while an image is opened. The first one was asked for.
pub(super) struct Parts {
    pub(super) readers: Vec<Reader>,
    /// The pages of the first file, then those of the second, and so on.
    pub(super) pages: Vec<Page>,
    /// The first page of each file in `pages`.
    pub(super) starts: Vec<usize>,
    /// How files on the network are reached.
    pub(super) remote: Remote,
}

impl Parts {
    /// Reads the directories of a file.
    pub(super) fn open(path: &Path, remote: &Remote) -> Result<(Self, Vec<Directory>), IoError> {
        Self::of(ByteFile::open(path, remote)?, path, remote)
    }

    /// Reads the directories of a file that is open.
    pub(super) fn of(
        file: ByteFile,
        path: &Path,
        remote: &Remote,
    ) -> Result<(Self, Vec<Directory>), IoError> {
        let remote = remote.clone();
        let mut parts = Self { readers: Vec::new(), pages: Vec::new(), starts: Vec::new(), remote };
        let directories = parts.add_open(file, path)?;
        Ok((parts, directories))
    }

    /// Reads the directories of one more file.
    pub(super) fn add(&mut self, path: &Path) -> Result<Vec<Directory>, IoError> {
        self.add_open(ByteFile::open(path, &self.remote)?, path)
    }

    fn add_open(&mut self, file: ByteFile, path: &Path) -> Result<Vec<Directory>, IoError> {
        let (mut reader, first) = Reader::new(Arc::new(file), path)?;
        let directories = reader.chain(first)?;
        self.starts.push(self.pages.len());
        let file = self.readers.len();
        for (number, directory) in directories.iter().enumerate() {
            let mut page = Page::new(&mut reader, directory, number)?;
            page.file = file;
            self.pages.push(page);
        }
        // Only the first file's handle is kept; there may be thousands.
        if file > 0 {
            reader.close(&self.remote);
        }
        self.readers.push(reader);
        Ok(directories)
    }

    /// The pages of one file.
    pub(super) fn pages_of(&self, file: usize) -> usize {
        self.starts.get(file + 1).copied().unwrap_or(self.pages.len()) - self.starts[file]
    }

    /// The reader of a page's file.
    pub(super) fn reader(&mut self, page: &Page) -> &mut Reader {
        &mut self.readers[page.file]
    }

    /// The description in a file's first directory.
    pub(super) fn description(&mut self, first: &Directory) -> Result<String, IoError> {
        Ok(self.readers[0].text(first, tag::IMAGE_DESCRIPTION)?.unwrap_or_default())
    }

    pub(super) fn into_files(self) -> Files {
        let lens = self.readers.iter().map(|r| r.len).collect();
        // On the network, opening and reading the start again would be two requests.
        let first = self.readers.first().and_then(|r| Some((0, r.handle()?)));
        let open = Mutex::new(first.into_iter().collect());
        let paths = self.readers.into_iter().map(|r| r.path).collect();
        Files { lens, paths, remote: self.remote, open }
    }
}

/// The files of an image that is read; those that were used last are open.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    lens: Vec<u64>,
    remote: Remote,
    open: Mutex<VecDeque<(usize, Arc<ByteFile>)>>,
}

impl Files {
    pub(super) fn count(&self) -> usize {
        self.paths.len()
    }

    pub(super) fn path(&self, file: usize) -> &Path {
        &self.paths[file]
    }

    /// Bytes of a file.
    pub(super) fn len(&self, file: usize) -> u64 {
        self.lens[file]
    }

    /// A file's handle.
    pub(super) fn get(&self, file: usize) -> Result<Arc<ByteFile>, IoError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(f, _)| *f == file) {
            if at > 0 {
                let found = open.remove(at).expect("it was there");
                open.push_front(found);
            }
            return Ok(Arc::clone(&open[0].1));
        }
        let path = &self.paths[file];
        let handle = Arc::new(ByteFile::open(path, &self.remote)?);
        open.truncate(MAX_OPEN - 1);
        open.push_front((file, Arc::clone(&handle)));
        Ok(handle)
    }
}
