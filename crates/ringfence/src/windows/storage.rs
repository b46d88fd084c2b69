//! The directory that the ledgers lie in.
//!
//! A trait, because what a crash leaves of a file that was not flushed is decided by the simulated host. [`Directory`] is
//! the real one; it is the same on every system.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, State};

/// Files of one directory that nobody but the user, and no sandboxed process, may write.
pub trait Storage: Sync {
    /// A file that is open for appending.
    type Appender: Send + Sync;
    /// The right to write, until it is dropped or the process ends.
    type Lock;

    /// The names of all files.
    ///
    /// # Errors
    /// What the system answers.
    fn names(&self) -> Result<Vec<String>, Error>;

    /// The path of a file, for messages.
    fn path(&self, name: &str) -> PathBuf;

    /// The content of a file, `None` if there is none.
    ///
    /// # Errors
    /// What the system answers.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;

    /// The last `most` bytes of a file, `None` if there is none.
    ///
    /// # Errors
    /// What the system answers.
    fn tail(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Error>;

    /// Opens a file for appending, creating it if it is missing. The name survives a crash after the first flush.
    ///
    /// # Errors
    /// What the system answers.
    fn appender(&self, name: &str) -> Result<Self::Appender, Error>;

    /// Appends. Until [`Storage::flush`], a crash may leave all, some or none of the bytes.
    ///
    /// # Errors
    /// What the system answers; some of the bytes may have been written.
    fn append(&self, file: &mut Self::Appender, bytes: &[u8]) -> Result<(), Error>;

    /// Returns when everything that was appended survives a crash.
    ///
    /// # Errors
    /// What the system answers.
    fn flush(&self, file: &mut Self::Appender) -> Result<(), Error>;

    /// Gives a flushed file another name, replacing what had it, in one step.
    ///
    /// # Errors
    /// What the system answers.
    fn rename(&self, from: &str, to: &str) -> Result<(), Error>;

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// What the system answers.
    fn remove(&self, name: &str) -> Result<(), Error>;

    /// Takes the right to write, unless another process or thread has it.
    ///
    /// # Errors
    /// What the system answers.
    fn try_lock(&self) -> Result<Option<Self::Lock>, Error>;

    /// Lets time pass before the next attempt to take the lock.
    fn pause(&self, duration: Duration);
}

/// The `grants` directory of the state directory.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

/// An append-only file of a [`Directory`].
#[derive(Debug)]
pub struct Appender {
    file: File,
    path: PathBuf,
}

const LOCK: &str = "lock";

impl Directory {
    /// Opens the directory, making it if it is missing.
    ///
    /// # Errors
    /// [`Error::State`] if it cannot be made.
    pub fn open(state: &State) -> Result<Self, Error> {
        Self::at(state.file("grants"))
    }

    fn at(path: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&path).map_err(|source| Error::State { path: path.clone(), source })?;
        Ok(Self { path })
    }

    fn failed(&self, name: &str) -> impl FnOnce(std::io::Error) -> Error {
        let path = self.path.join(name);
        move |source| Error::State { path, source }
    }

    /// On Linux a new name is durable only with its directory; NTFS logs it with the file.
    fn flush_names(path: &Path) -> std::io::Result<()> {
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }
}

impl Storage for Directory {
    type Appender = Appender;
    type Lock = File;

    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = std::fs::read_dir(&self.path).map_err(self.failed(""))?;
        let mut names = Vec::new();
        for entry in entries {
            // A name that is not Unicode is not one of ours.
            if let Ok(name) = entry.map_err(self.failed(""))?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        found(std::fs::read(self.path(name))).map_err(self.failed(name))
    }

    fn tail(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let read = || {
            let mut file = File::open(self.path(name))?;
            let length = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(length.saturating_sub(most as u64)))?;
            let mut bytes = Vec::with_capacity(most);
            file.take(most as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        found(read()).map_err(self.failed(name))
    }

    fn appender(&self, name: &str) -> Result<Appender, Error> {
        let path = self.path(name);
        let file = File::options().append(true).create(true).open(&path).map_err(self.failed(name))?;
        Self::flush_names(&self.path).map_err(self.failed(name))?;
        Ok(Appender { file, path })
    }

    fn append(&self, file: &mut Appender, bytes: &[u8]) -> Result<(), Error> {
        file.file.write_all(bytes).map_err(|source| Error::State { path: file.path.clone(), source })
    }

    fn flush(&self, file: &mut Appender) -> Result<(), Error> {
        file.file.sync_data().map_err(|source| Error::State { path: file.path.clone(), source })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        std::fs::rename(self.path(from), self.path(to)).map_err(self.failed(to))?;
        Self::flush_names(&self.path).map_err(self.failed(to))
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        found(std::fs::remove_file(self.path(name))).map_err(self.failed(name))?;
        Ok(())
    }

    fn try_lock(&self) -> Result<Option<File>, Error> {
        // Windows does not lock what is open for appending alone.
        let file =
            File::options().read(true).append(true).create(true).open(self.path(LOCK)).map_err(self.failed(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(self.failed(LOCK)(source)),
        }
    }

    fn pause(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

fn found<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_appended_to_read_renamed_and_removed() {
        let base = tempfile::tempdir().unwrap();
        let storage = Directory::at(base.path().join("grants")).unwrap();
        assert_eq!(storage.read("a").unwrap(), None);
        assert_eq!(storage.tail("a", 3).unwrap(), None);
        let mut file = storage.appender("a").unwrap();
        storage.append(&mut file, b"one").unwrap();
        storage.append(&mut file, b"two").unwrap();
        storage.flush(&mut file).unwrap();
        assert_eq!(storage.read("a").unwrap().unwrap(), b"onetwo");
        assert_eq!(storage.tail("a", 4).unwrap().unwrap(), b"etwo");
        assert_eq!(storage.tail("a", 100).unwrap().unwrap(), b"onetwo");
        let mut again = storage.appender("a").unwrap();
        storage.append(&mut again, b"!").unwrap();
        // Windows keeps the name of a file that is open.
        drop((file, again));
        storage.rename("a", "b").unwrap();
        assert_eq!(storage.names().unwrap(), ["b"]);
        assert_eq!(storage.read("b").unwrap().unwrap(), b"onetwo!");
        storage.remove("b").unwrap();
        storage.remove("b").unwrap();
        assert!(storage.names().unwrap().is_empty());
    }

    #[test]
    fn one_holds_the_lock_and_hands_it_on() {
        let base = tempfile::tempdir().unwrap();
        let storage = Directory::at(base.path().to_owned()).unwrap();
        let lock = storage.try_lock().unwrap();
        assert!(lock.is_some());
        assert!(storage.try_lock().unwrap().is_none());
        drop(lock);
        assert!(storage.try_lock().unwrap().is_some());
    }
}
