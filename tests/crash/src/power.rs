//! A disk whose power can be cut while a database writes to it.
//!
//! A file system on it is a real ext4 on a real block device (a loop device). What is under that is
//! ours, a file served by this process, so every write and every flush is seen, and when the power
//! is cut the disk keeps what a disk must keep: what was flushed, and anything of what was not.
//!
//! Only root may mount.

mod file;
pub mod platter;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fuser::{BackgroundSession, Config, MountOption};
use rand::rngs::StdRng;
use rustix::process::geteuid;

use self::{file::OneFile, platter::Platter};

/// What must be there.
const NEEDED: [&str; 2] = ["/dev/fuse", "/dev/loop-control"];

/// How long the kernel may take to let go of a device.
const PATIENCE: Duration = Duration::from_secs(20);

/// A disk with an ext4 on it.
#[derive(Debug)]
pub struct Disk {
    platter: Arc<Mutex<Platter>>,
    mounted: Option<Mounted>,
}

/// A disk in use.
#[derive(Debug)]
struct Mounted {
    at: PathBuf,
    /// Where the platter is a file.
    below: tempfile::TempDir,
    session: Option<BackgroundSession>,
}

/// Why no disk can be made here; none if it can.
#[must_use]
pub fn missing() -> Option<String> {
    if !geteuid().is_root() {
        return Some("only root may mount a disk".to_owned());
    }
    let missing = NEEDED.iter().find(|path| !Path::new(path).exists());
    if let Some(path) = missing {
        return Some(format!("there is no {path}"));
    }
    let made = Command::new("mkfs.ext4").arg("-V").output();
    made.is_err()
        .then(|| "there is no mkfs.ext4 (e2fsprogs in Debian)".to_owned())
}

impl Disk {
    /// A new disk of so many bytes, with an empty ext4.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(bytes: u64) -> io::Result<Self> {
        let image = tempfile::NamedTempFile::new()?;
        image.as_file().set_len(bytes)?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-E", "nodiscard,lazy_itable_init=0"])
            .arg(image.path()))?;
        let platter = Platter::new(fs::read(image.path())?);
        Ok(Self {
            platter: Arc::new(Mutex::new(platter)),
            mounted: None,
        })
    }

    /// Gives it power and mounts it in a directory. ext4 recovers what it must.
    ///
    /// # Errors
    /// What the system says.
    pub fn mount(&mut self, at: &Path) -> io::Result<()> {
        self.unmount()?;
        self.platter().power_on();
        let below = tempfile::Builder::new()
            .prefix("stepwell-disk-")
            .tempdir()?;
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("stepwell-disk".to_owned())];
        let session = fuser::spawn_mount(OneFile(Arc::clone(&self.platter)), &below, &config)?;
        let platter = below.path().join(file::NAME);
        self.mounted = Some(Mounted {
            at: at.to_owned(),
            below,
            session: Some(session),
        });
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "loop"])
            .arg(platter)
            .arg(at))
    }

    /// Has the power cut in the middle of a write, after so many others: from then on whoever reads
    /// or writes fails.
    pub fn cut_after(&self, writes: u64, random: StdRng) {
        self.platter().cut_after(writes, random);
    }

    /// Cuts the power now, if that has not happened.
    pub fn cut(&self, random: &mut StdRng) {
        let mut platter = self.platter();
        if platter.is_on() {
            platter.cut(random);
        }
    }

    /// Whether it has power.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.platter().is_on()
    }

    /// How many sectors were not left as they were written last when the power went.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.platter().lost()
    }

    /// How often it was flushed so far.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.platter().flushes()
    }

    /// Takes it out of its directory. Nobody uses it any more.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::TimedOut`] if somebody does use it.
    pub fn unmount(&mut self) -> io::Result<()> {
        match self.mounted.take() {
            Some(mounted) => mounted.take_out(),
            None => Ok(()),
        }
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nobody is left to hear of it.
        drop(self.unmount());
    }
}

impl Mounted {
    /// The file system first, then the loop device that goes with it, then what is under that.
    fn take_out(mut self) -> io::Result<()> {
        let platter = self.below.path().join(file::NAME);
        run(Command::new("umount").arg("--lazy").arg(&self.at))?;
        let began = Instant::now();
        while is_looped(&platter)? {
            if began.elapsed() > PATIENCE {
                let why = format!("{} is still in use", self.at.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        match self.session.take() {
            Some(session) => session.umount_and_join(),
            None => Ok(()),
        }
    }
}

/// Whether a loop device stands on a file.
fn is_looped(file: &Path) -> io::Result<bool> {
    let listed = Command::new("losetup")
        .arg("--associated")
        .arg(file)
        .output()?;
    Ok(!listed.stdout.is_empty())
}

fn run(command: &mut Command) -> io::Result<()> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(io::Error::other(format!("{command:?}: {}", said.trim())))
}
