//! How an output may be named.

use crate::Error;
use std::path::Path;

/// Extensions of files that are no Zarr directory: whoever names one expects that format.
const OTHER_FORMATS: [&str; 19] = [
    "png", "jpg", "jpeg", "gif", "bmp", "webp", "jp2", "jxl", "npz", "h5", "hdf5", "n5", "nd2", "czi", "lif",
    "svs", "nrrd", "mha", "nii",
];

/// Refuses an output whose name promises a format that is not written.
pub(super) fn check_extension(output: &Path) -> Result<(), Error> {
    let extension = output.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if OTHER_FORMATS.contains(&extension.as_str()) {
        return Err(Error::Extension { output: output.to_path_buf(), extension });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_is_refused_and_a_dot_in_a_name_is_not() {
        assert!(matches!(check_extension(Path::new("a.PNG")), Err(Error::Extension { .. })));
        assert!(check_extension(Path::new("run.v2")).is_ok());
        assert!(check_extension(Path::new("a.ome.zarr")).is_ok());
    }
}
