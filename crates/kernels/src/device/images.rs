//! Compiled kernels: embedded when the program was built where their compiler was found, else compiled at first use and
//! kept on disk.

use super::error::{Code, DeviceError};
use super::nvrtc::Nvrtc;
use std::path::PathBuf;

include!(concat!(env!("OUT_DIR"), "/images.rs"));

/// All kernels as one source.
pub(super) const SOURCE: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.cu"));

/// Kernels compiled while the program was built.
pub(super) struct Image {
    /// Compute capability: 90 for 9.0.
    arch: u32,
    /// Machine code; else PTX, which the driver compiles.
    code: bool,
    bytes: &'static [u8],
}

/// Where kernels come from, in words.
pub(super) fn describe() -> String {
    if IMAGES.is_empty() {
        return match Nvrtc::find() {
            Ok(nvrtc) => format!("compiled at first use by NVRTC {}.{}", nvrtc.version.0, nvrtc.version.1),
            Err(why) => format!("none: this program was built without them, and there is no NVRTC ({why})"),
        };
    }
    let list: Vec<String> =
        IMAGES.iter().map(|i| format!("{}{}", if i.code { "sm_" } else { "PTX " }, i.arch)).collect();
    format!("in the program for {}", list.join(", "))
}

/// Calls `load` with one image after the other until it takes one: machine code made for this GPU or an older one of its
/// generation, PTX for the driver to compile, what was compiled here before, what is compiled now.
pub(super) fn load<T>(
    capability: (i32, i32),
    mut load: impl FnMut(&[u8]) -> Result<T, Code>,
) -> Result<T, DeviceError> {
    let arch = u32::try_from(capability.0 * 10 + capability.1).unwrap_or(0);
    let mut fitting: Vec<&Image> = IMAGES.iter().filter(|image| fits(image, arch)).collect();
    // Machine code before PTX, the newest first.
    fitting.sort_by_key(|image| (image.code, image.arch));
    let mut tried = Vec::new();
    for image in fitting.into_iter().rev() {
        match load(image.bytes) {
            Ok(loaded) => return Ok(loaded),
            Err(code) => tried.push(format!("the driver refused the program's for {} ({code})", image.arch)),
        }
    }
    if IMAGES.is_empty() {
        tried.push("this program was built without them".to_owned());
    }
    let none = |tried: &[String]| DeviceError::NoKernels { capability, why: tried.join("; ") };
    let nvrtc = match Nvrtc::find() {
        Ok(nvrtc) => nvrtc,
        Err(why) => {
            tried.push(format!("there is no NVRTC to compile them ({why})"));
            return Err(none(&tried));
        }
    };
    let arch = format!("sm_{arch}");
    let kept = Kept::of(&nvrtc, &arch, SOURCE);
    if let Some(image) = kept.as_ref().and_then(Kept::read)
        && let Ok(loaded) = load(&image)
    {
        return Ok(loaded);
    }
    let made = nvrtc.compile(SOURCE, &arch).map_err(|why| {
        tried.push(format!("NVRTC {}.{}: {why}", nvrtc.version.0, nvrtc.version.1));
        none(&tried)
    });
    let image = made?;
    match load(&image) {
        Ok(loaded) => {
            if let Some(kept) = kept {
                kept.write(&image);
            }
            Ok(loaded)
        }
        Err(code) => {
            tried.push(format!("the driver refused what NVRTC made ({code})"));
            Err(none(&tried))
        }
    }
}

/// Compiles a source of the user's own for a GPU, or takes what was made of it before, and loads it.
pub(super) fn compile<T>(
    source: &str,
    file: &str,
    capability: (i32, i32),
    mut load: impl FnMut(&[u8]) -> Result<T, Code>,
) -> Result<T, DeviceError> {
    let nvrtc = Nvrtc::find().map_err(|why| DeviceError::NoCompiler { file: file.to_owned(), why })?;
    let arch = format!("sm_{}{}", capability.0, capability.1);
    let kept = Kept::of(&nvrtc, &arch, source);
    if let Some(loaded) = kept.as_ref().and_then(Kept::read).and_then(|image| load(&image).ok()) {
        return Ok(loaded);
    }
    let wrong = |log: String| DeviceError::Source { file: file.to_owned(), log };
    let image = nvrtc.compile(source, &arch).map_err(wrong)?;
    let loaded =
        load(&image).map_err(|code| wrong(format!("the driver refused what NVRTC made ({code})")))?;
    if let Some(kept) = kept {
        kept.write(&image);
    }
    Ok(loaded)
}

/// Machine code runs on the same generation, from the same capability up; PTX on everything newer.
fn fits(image: &Image, arch: u32) -> bool {
    image.arch <= arch && (!image.code || image.arch / 10 == arch / 10)
}

/// What was compiled before, on disk: `$XDG_CACHE_HOME/voxtile/kernels`. The file begins with what it was made from.
struct Kept {
    path: PathBuf,
    made_from: Vec<u8>,
}

impl Kept {
    fn of(nvrtc: &Nvrtc, arch: &str, source: &str) -> Option<Self> {
        let dir = cache_dir()?;
        let made_from = format!("NVRTC {:?} {} {arch}\n{source}\0", nvrtc.version, nvrtc.path).into_bytes();
        // Only a name: what the file was made from is compared in full.
        let name = made_from.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        Some(Self { path: dir.join(format!("{arch}-{name:016x}.cubin")), made_from })
    }

    fn read(&self) -> Option<Vec<u8>> {
        let file = std::fs::read(&self.path).ok()?;
        file.strip_prefix(&self.made_from[..]).map(<[u8]>::to_vec)
    }

    /// Kept if that works: a full disk is no reason to stop.
    fn write(&self, image: &[u8]) {
        let Some(dir) = self.path.parent() else { return };
        let unfinished = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let whole = [&self.made_from[..], image].concat();
        let written = std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&unfinished, whole))
            .and_then(|()| std::fs::rename(&unfinished, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&unfinished);
        }
    }
}

fn cache_dir() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")))?;
    Some(cache.join("voxtile/kernels"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_code_stays_in_its_generation_and_ptx_goes_up() {
        let image = |arch, code| Image { arch, code, bytes: &[] };
        for (arch, code, gpu, wanted) in [
            (80, true, 86, true),
            (80, true, 90, false),
            (86, true, 80, false),
            (75, false, 120, true),
            (75, false, 70, false),
        ] {
            assert_eq!(fits(&image(arch, code), gpu), wanted, "{arch} {code} on {gpu}");
        }
    }

    #[test]
    fn a_file_made_from_something_else_is_not_read() {
        let dir = std::env::temp_dir().join(format!("voxtile-kept-{}", std::process::id()));
        let kept = Kept { path: dir.join("a.cubin"), made_from: b"this\0".to_vec() };
        kept.write(b"image");
        assert_eq!(kept.read().as_deref(), Some(&b"image"[..]));
        let other = Kept { path: kept.path.clone(), made_from: b"that\0".to_vec() };
        assert_eq!(other.read(), None);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
