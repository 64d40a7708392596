//! NVRTC, the compiler for kernels, if it is there: opened at run time, by the build script and by the program.
//!
//! Looked for at `NVRTC_LIB`, in `CUDA_HOME` and `CUDA_PATH`, in the wheel of a virtual environment (`VIRTUAL_ENV`), and
//! where the system looks for libraries.

#![allow(unsafe_code)]

use libloading::{Library, Symbol};
use std::env;
use std::error::Error;
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

type Program = *mut c_void;

/// The compiler.
pub(crate) struct Nvrtc {
    library: Library,
    /// Held open: the compiler opens it by its bare name.
    _builtins: Option<Library>,
    /// Where it was found.
    pub(crate) path: String,
    pub(crate) version: (i32, i32),
}

const NAMES: [&str; 4] = ["libnvrtc.so.12", "libnvrtc.so.13", "libnvrtc.so", "nvrtc64_120_0.dll"];

/// Options of every compilation. A product that is added must be rounded by itself.
const OPTIONS: [&str; 2] = ["--fmad=false", "--std=c++17"];

impl Nvrtc {
    /// Looks for it.
    ///
    /// # Errors
    /// What the system said last.
    pub(crate) fn find() -> Result<Self, String> {
        let mut why = "nothing was tried".to_owned();
        for path in candidates() {
            match Self::open(&path) {
                Ok(found) => return Ok(found),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn open(path: &Path) -> Result<Self, String> {
        let builtins = path.parent().filter(|dir| dir.is_absolute()).and_then(builtins);
        // SAFETY: loading runs the library's initialisers: it is NVIDIA's compiler, from where the user or the system
        // says that it lies.
        let library = unsafe { Library::new(path) }.map_err(|error| told(&error))?;
        let mut found =
            Self { library, _builtins: builtins, path: path.display().to_string(), version: (0, 0) };
        let (mut major, mut minor) = (0, 0);
        let version: Symbol<'_, unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int> =
            found.get("nvrtcVersion")?;
        // SAFETY: the documented interface: two numbers are written.
        let code = unsafe { version(&raw mut major, &raw mut minor) };
        checked("nvrtcVersion", code)?;
        found.version = (major, minor);
        Ok(found)
    }

    fn get<T>(&self, name: &str) -> Result<Symbol<'_, T>, String> {
        // SAFETY: every caller gives the type of the documented interface.
        unsafe { self.library.get(name) }.map_err(|error| error.to_string())
    }

    /// Compiles for `sm_90` to machine code, for `compute_75` to PTX, which ends in a zero.
    ///
    /// # Errors
    /// The compiler's log.
    pub(crate) fn compile(&self, source: &str, arch: &str) -> Result<Vec<u8>, String> {
        type Create = unsafe extern "C" fn(
            *mut Program,
            *const c_char,
            *const c_char,
            c_int,
            *const *const c_char,
            *const *const c_char,
        ) -> c_int;
        type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
        type Destroy = unsafe extern "C" fn(*mut Program) -> c_int;
        let create: Symbol<'_, Create> = self.get("nvrtcCreateProgram")?;
        let compile: Symbol<'_, Compile> = self.get("nvrtcCompileProgram")?;
        let destroy: Symbol<'_, Destroy> = self.get("nvrtcDestroyProgram")?;
        let text = CString::new(source).map_err(|_| "the source holds a zero".to_owned())?;
        let mut program: Program = std::ptr::null_mut();
        let none = std::ptr::null();
        // SAFETY: the source is a C string that outlives the call; there are no headers, so their lists are not read.
        let code = unsafe { create(&raw mut program, text.as_ptr(), c"kernels.cu".as_ptr(), 0, none, none) };
        checked("nvrtcCreateProgram", code)?;
        let arch_option = format!("--gpu-architecture={arch}");
        let options = OPTIONS.iter().copied().chain([arch_option.as_str()]);
        let options: Vec<CString> = options.filter_map(|option| CString::new(option).ok()).collect();
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program was made above; the options outlive the call.
        let code = unsafe { compile(program, pointers.len() as c_int, pointers.as_ptr()) };
        let image = match (code, arch.starts_with("sm_")) {
            (0, true) => self.bytes(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN"),
            (0, false) => self.bytes(program, "nvrtcGetPTXSize", "nvrtcGetPTX"),
            (code, _) => {
                let log =
                    self.bytes(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                Err(format!("error {code} for {arch}\n{}", log.trim_end_matches('\0')))
            }
        };
        // SAFETY: the program was made above and is used no more.
        unsafe { destroy(&raw mut program) };
        image
    }

    /// What one function gives, of the size that another says.
    fn bytes(&self, program: Program, size_of: &str, give: &str) -> Result<Vec<u8>, String> {
        let size: Symbol<'_, unsafe extern "C" fn(Program, *mut usize) -> c_int> = self.get(size_of)?;
        let fill: Symbol<'_, unsafe extern "C" fn(Program, *mut c_char) -> c_int> = self.get(give)?;
        let mut len = 0;
        // SAFETY: the program exists; one number is written.
        checked("the compiler", unsafe { size(program, &raw mut len) })?;
        let mut bytes = vec![0u8; len];
        // SAFETY: as many bytes are written as the compiler said.
        checked("the compiler", unsafe { fill(program, bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    }
}

/// What the system said.
fn told(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

fn checked(function: &str, code: c_int) -> Result<(), String> {
    if code == 0 { Ok(()) } else { Err(format!("{function} gives error {code}")) }
}

/// Opens what the compiler opens by its bare name, so that it is found.
fn builtins(dir: &Path) -> Option<Library> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let mut found = entries.map(|e| e.path()).filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libnvrtc-builtins.so."))
    });
    // SAFETY: as for the compiler itself, of which it is a part.
    found.find_map(|path| unsafe { Library::new(path) }.ok())
}

/// Where it may be: full paths first, then names that the system looks up.
fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    found.extend(path("NVRTC_LIB"));
    let mut dirs: Vec<PathBuf> = Vec::new();
    for root in [path("CUDA_HOME"), path("CUDA_PATH")].into_iter().flatten() {
        dirs.extend(["lib64", "lib", "bin"].map(|dir| root.join(dir)));
    }
    if let Some(lib) = path("VIRTUAL_ENV").map(|venv| venv.join("lib"))
        && let Ok(entries) = std::fs::read_dir(&lib)
    {
        dirs.extend(entries.flatten().map(|e| e.path().join("site-packages/nvidia/cuda_nvrtc/lib")));
    }
    for dir in dirs {
        found.extend(NAMES.map(|name| dir.join(name)).into_iter().filter(|path| path.is_file()));
    }
    found.extend(NAMES.map(PathBuf::from));
    found
}
