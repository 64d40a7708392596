//! Formats of other programs that are known by their first bytes or their names, and not read: some of them would open as
//! something else, as the small picture of a slide.

use crate::{Feature, IoError};
use std::path::Path;

/// By the first bytes: where they lie, what they are, and what the file is.
const STARTS: [(usize, &[u8], &str); 9] = [
    (0, b"ZISRAWFILE", "the CZI format of Zeiss"),
    (0, b"\xDA\xCE\xBE\x0A", "the ND2 format of Nikon"),
    (0, b"\x70\x00\x00\x00", "the LIF format of Leica"),
    (128, b"DICM", "DICOM"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 (Imaris, BigDataViewer)"),
    (0, b"\xD0\xCF\x11\xE0", "the OIB or ZVI format"),
    (0, b"\x00\x00\x00\x0CjP  ", "JPEG 2000 outside a TIFF"),
    (0, b"\xFF\x4F\xFF\x51", "JPEG 2000 outside a TIFF"),
    (208, b"MAP ", "MRC"),
];

/// By the end of the name, of files that look like something else.
const ENDS: [(&str, &str); 3] = [
    ("mrxs", "the MRXS format of 3DHISTECH"),
    ("vsi", "the VSI format of Olympus, whose pixels lie in a folder beside"),
    ("ndpis", "the NDPIS lists of Hamamatsu"),
];

/// Bytes of a file that [`check`] looks at.
pub(crate) const HEAD: usize = 216;

/// Refuses what is known and not read; `head` is the file's start.
pub(crate) fn check(path: &Path, head: &[u8]) -> Result<(), IoError> {
    let end = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let by_name = ENDS.iter().find(|(e, _)| *e == end).map(|(_, what)| *what);
    let starts =
        |(at, bytes, _): &&(usize, &[u8], &str)| head.get(*at..).is_some_and(|h| h.starts_with(bytes));
    match by_name.or_else(|| STARTS.iter().find(starts).map(|(_, _, what)| *what)) {
        Some(what) => {
            let feature = Feature::Program((*what).to_owned());
            Err(IoError::Unsupported { store: path.display().to_string(), feature })
        }
        None => Ok(()),
    }
}
