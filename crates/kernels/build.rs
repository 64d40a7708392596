//! Joins the sources of the kernels and, where the compiler for them (NVRTC) is found, compiles them for every GPU that is
//! supported. Elsewhere the table of images is empty and the crate builds all the same.

#[path = "src/device/nvrtc.rs"]
mod nvrtc;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Machine code for these; PTX for what comes after them.
const ARCHS: [u32; 5] = [75, 80, 86, 89, 90];
const PTX: u32 = 75;
/// What decides which compiler is found, and whether there must be one.
const VARIABLES: [&str; 5] = ["NVRTC_LIB", "CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV", "VOXTILE_KERNELS"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/device/nvrtc.rs");
    println!("cargo::rerun-if-changed=cu");
    for name in VARIABLES {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let source = joined(Path::new("cu"));
    fs::write(out.join("kernels.cu"), &source).expect("OUT_DIR can be written");
    // `VOXTILE_KERNELS=none`: an empty table; `VOXTILE_KERNELS=all`: a failure instead of an empty table.
    let wanted = env::var("VOXTILE_KERNELS").unwrap_or_default();
    let compiler = if wanted == "none" { Err("not asked for".to_owned()) } else { nvrtc::Nvrtc::find() };
    let mut table = String::from("pub(super) static IMAGES: &[Image] = &[\n");
    match compiler {
        Err(why) => assert!(wanted != "all", "no compiler for kernels: {why}"),
        Ok(compiler) => {
            let archs = ARCHS.iter().map(|arch| (*arch, format!("sm_{arch}")));
            for (number, arch) in archs.chain([(PTX, format!("compute_{PTX}"))]) {
                let image = match compiler.compile(&source, &arch) {
                    Ok(image) => image,
                    Err(why) => panic!("{} does not compile the kernels: {why}", compiler.path),
                };
                fs::write(out.join(&arch), image).expect("OUT_DIR can be written");
                let code = arch.starts_with("sm_");
                let _ = writeln!(
                    table,
                    "    Image {{ arch: {number}, code: {code}, bytes: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{arch}\")) }},"
                );
            }
        }
    }
    table += "];\n";
    fs::write(out.join("images.rs"), table).expect("OUT_DIR can be written");
}

/// All sources as one: what they share first, then the others by name, with their names and lines for messages.
fn joined(dir: &Path) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the sources of the kernels")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort_by_key(|path| (path.extension().is_none_or(|e| e != "cuh"), path.clone()));
    let mut source = String::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == "cu" || e == "cuh")) {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().expect("a name").to_string_lossy();
        let text = fs::read_to_string(path).expect("text");
        let _ = write!(source, "#line 1 \"kernels/{name}\"\n{text}");
    }
    source
}
