//! Where something lies that is not on this disk.

use crate::{IoError, RemoteProblem};
use std::fmt;
use std::path::Path;

/// How a store on the network is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `s3://`: Amazon S3 and what speaks its language.
    S3,
    /// `gs://`: Google Cloud Storage.
    Gs,
    /// `az://`: Azure Blob Storage.
    Az,
    /// `http://`: any web server; read only.
    Http,
    /// `https://`: any web server; read only.
    Https,
}

impl Scheme {
    const ALL: [Self; 5] = [Self::S3, Self::Gs, Self::Az, Self::Http, Self::Https];

    /// As it is written in front of `://`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Whether it can be written to.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::S3 | Self::Gs | Self::Az)
    }
}

/// A place on the network: `s3://bucket/scan.zarr`. Never holds a secret: what has one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    host: String,
    path: String,
}

impl Url {
    /// The place that a path names, if it does not lie in a file system: `SCHEME://…`.
    ///
    /// # Errors
    /// [`IoError::Remote`] for a scheme that is not known, a URL with a user or a query, or one that names no bucket or
    /// server.
    pub fn of(path: &Path) -> Result<Option<Self>, IoError> {
        let Some((scheme, rest)) = path.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(None);
        };
        let letters = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letters) {
            return Ok(None);
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        // What may be a secret is not repeated.
        let server = host.split(['?', '#']).next().unwrap_or_default();
        let shown = format!("{scheme}://{}", server.rsplit('@').next().unwrap_or_default());
        let wrong = |why: String| {
            let problem = RemoteProblem::Url { why };
            Err(IoError::Remote { action: "open", url: shown.clone(), problem })
        };
        let lower = scheme.to_ascii_lowercase();
        let Some(scheme) = Scheme::ALL.into_iter().find(|s| s.name() == lower) else {
            return wrong(format!("`{scheme}` is not one of s3, gs, az, http, https"));
        };
        if host.contains('@') {
            return wrong("a user or password does not belong into a URL".to_owned());
        }
        if rest.contains(['?', '#']) {
            return wrong("a URL with `?` or `#` is not read".to_owned());
        }
        if host.is_empty() {
            return wrong(format!("it names no {}", if scheme.writes() { "bucket" } else { "server" }));
        }
        let path = path.trim_matches('/');
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return wrong("a part of it is `.` or `..`".to_owned());
        }
        Ok(Some(Self { scheme, host: host.to_owned(), path: path.to_owned() }))
    }

    /// How it is spoken to.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket, container or server.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where in it; no slashes at the ends.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The place that this one lies in, and its name there; `None` for a whole bucket.
    pub(crate) fn split(&self) -> Option<(Self, String)> {
        let (within, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        (!name.is_empty()).then(|| (Self { path: within.to_owned(), ..self.clone() }, name.to_owned()))
    }

    /// Whether this place is another one, lies in it, or contains it.
    #[must_use]
    pub(crate) fn overlaps(&self, other: &Self) -> Option<&'static str> {
        if (self.scheme, &self.host) != (other.scheme, &other.host) {
            return None;
        }
        let inside = |a: &str, b: &str| b.is_empty() || a.strip_prefix(b).is_some_and(|r| r.starts_with('/'));
        if self.path == other.path {
            Some("is the input")
        } else if inside(&self.path, &other.path) {
            Some("lies inside the input")
        } else {
            inside(&other.path, &self.path).then_some("contains the input")
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Url>, IoError> {
        Url::of(Path::new(text))
    }

    #[test]
    fn urls_are_told_from_paths() {
        let url = of("S3://bucket//a/b.zarr/").unwrap().unwrap();
        assert_eq!((url.scheme(), url.host(), url.path()), (Scheme::S3, "bucket", "a/b.zarr"));
        assert_eq!(url.to_string(), "s3://bucket/a/b.zarr");
        assert_eq!(of("http://127.0.0.1:80").unwrap().unwrap().to_string(), "http://127.0.0.1:80");
        for path in ["a/b.zarr", "/a:/b", "c:/x", "./s3://x", "a b://c"] {
            assert_eq!(of(path).unwrap(), None, "{path}");
        }
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        for (text, word) in [
            ("ftp://x/y", "ftp"),
            ("https://me:secret@x/y", "user"),
            ("https://x/y?token=secret", "?"),
            ("https://x?secret", "?"),
            ("s3:///y", "bucket"),
            ("s3://b/a/../c", ".."),
        ] {
            let message = of(text).unwrap_err().to_string();
            assert!(message.contains(word) && !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn places_overlap_by_whole_names() {
        let url = |text: &str| of(text).unwrap().unwrap();
        let a = url("s3://b/x/a.zarr");
        assert_eq!(a.overlaps(&a), Some("is the input"));
        assert_eq!(url("s3://b/x/a.zarr/new").overlaps(&a), Some("lies inside the input"));
        assert_eq!(url("s3://b/x").overlaps(&a), Some("contains the input"));
        assert_eq!(url("s3://b").overlaps(&a), Some("contains the input"));
        assert_eq!(url("s3://b/x/a.zarr2").overlaps(&a), None);
        assert_eq!(url("s3://c/x/a.zarr").overlaps(&a), None);
    }
}
