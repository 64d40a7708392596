//! A disk whose power fails: an ext4 file system in a file, on a loop device. What the kernel has not brought to the file
//! when the power fails is lost.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// MiB of the disk.
const SIZE_MIB: u64 = 96;

/// A file system of its own.
pub(crate) struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

fn sh(program: &str, args: &[&str]) -> io::Result<()> {
    let done = Command::new(program).args(args).output()?;
    if done.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(io::Error::other(format!("{program} {}: {words} (`--power-loss` needs root)", args.join(" "))))
}

impl Disk {
    pub(crate) fn new(work: &Path) -> io::Result<Self> {
        let (image, mount) = (work.join("disk.img"), work.join("disk"));
        std::fs::create_dir_all(&mount)?;
        std::fs::File::create(&image)?.set_len(SIZE_MIB << 20)?;
        sh("mkfs.ext4", &["-q", "-F", &text(&image)])?;
        let disk = Self { image, mount };
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> io::Result<()> {
        // Nothing comes to the disk by itself, so that what is lost is what nobody asked to keep.
        sh("mount", &["-o", "loop,commit=600", &text(&self.image), &text(&self.mount)])
    }

    /// Where files are written.
    pub(crate) fn place(&self) -> &Path {
        &self.mount
    }

    /// Brings to the disk what was done so far.
    pub(crate) fn sync(&self) -> io::Result<()> {
        sh("sync", &["-f", &text(&self.mount)])
    }

    /// Takes the content of the device as it is now, and goes on with that.
    pub(crate) fn lose_power(&mut self) -> io::Result<()> {
        let taken = self.image.with_extension("taken");
        sh("cp", &["--sparse=always", &text(&self.image), &text(&taken)])?;
        sh("umount", &[&text(&self.mount)])?;
        std::fs::rename(&taken, &self.image)?;
        self.mount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nothing can be done about a file system that stays mounted.
        let _ = sh("umount", &[&text(&self.mount)]);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
