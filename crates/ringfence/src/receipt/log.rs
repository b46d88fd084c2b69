//! The log of receipts: JSON Lines with a hash chain, in the state directory.
//!
//! A line's hash covers all its bytes without the line break. A crash in the middle of a line leaves a torn line; the
//! next writer ends it and chains to the last whole one, so that a torn line shows as what it is and costs nothing else.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Receipt;
use crate::plan::hex;
use crate::{Error, State};

/// The receipts of a state directory.
#[derive(Debug, Clone)]
pub struct Log {
    path: PathBuf,
}

/// The log, open for one more receipt.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
}

/// One line of the log.
#[derive(Debug)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// The receipt, or why the line is none.
    pub receipt: Result<Receipt, String>,
    /// Whether it carries the hash of the last whole line before it.
    pub chained: bool,
}

/// Whether a log is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Whole receipts.
    pub receipts: usize,
    /// Lines that are no receipts: writes that a crash cut off.
    pub torn: Vec<usize>,
    /// Lines that do not carry the hash of the line before: something was changed, taken out or put in.
    pub broken: Vec<usize>,
}

const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How much is read at once to find the last line.
const TAIL: u64 = 4 * 1024;

impl Log {
    /// The log of a state directory.
    ///
    /// # Errors
    ///
    /// None today; a later format may need one.
    pub fn open(state: &State) -> Result<Self, Error> {
        Ok(Self { path: state.file("receipts.jsonl") })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the log for one more receipt, and makes sure that there is room for it.
    ///
    /// # Errors
    ///
    /// [`Error::Receipt`] if the file cannot be written or the disk is full.
    pub fn writer(&self) -> Result<Writer, Error> {
        let failed = |source| Error::Receipt { path: self.path.clone(), source };
        let file = open_private(&self.path).map_err(failed)?;
        room(&file).map_err(failed)?;
        Ok(Writer { path: self.path.clone(), file })
    }

    /// Appends a receipt: [`Log::writer`] and [`Writer::append`].
    ///
    /// # Errors
    ///
    /// As those.
    pub fn append(&self, receipt: &mut Receipt) -> Result<(), Error> {
        self.writer()?.append(receipt)
    }

    /// Every line, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::Receipt`] if the file cannot be read; a log that does not exist yet is empty.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(Error::Receipt { path: self.path.clone(), source });
            }
        };
        let mut previous = FIRST.to_owned();
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
        Ok(lines
            .map(|(index, line)| {
                let (whole, text) = match line.strip_suffix(b"\n") {
                    Some(text) => (true, text),
                    None => (false, line),
                };
                let receipt = match (whole, serde_json::from_slice::<Receipt>(text)) {
                    (true, Ok(receipt)) => Ok(receipt),
                    (false, _) => Err("the line is cut off".to_owned()),
                    (true, Err(error)) => Err(error.to_string()),
                };
                let chained = receipt.as_ref().is_ok_and(|receipt| receipt.previous == previous);
                if receipt.is_ok() {
                    previous = hash(text);
                }
                Entry { line: index + 1, receipt, chained }
            })
            .collect())
    }

    /// Checks every line.
    ///
    /// # Errors
    ///
    /// As [`Log::entries`].
    pub fn verify(&self) -> Result<Verification, Error> {
        let mut result = Verification { receipts: 0, torn: Vec::new(), broken: Vec::new() };
        for entry in self.entries()? {
            match entry.receipt {
                Err(_) => result.torn.push(entry.line),
                Ok(_) => {
                    result.receipts += 1;
                    if !entry.chained {
                        result.broken.push(entry.line);
                    }
                }
            }
        }
        Ok(result)
    }
}

impl Writer {
    /// Appends a receipt, filling in the hash of the line before it. Other processes that append at the same moment
    /// wait their turn.
    ///
    /// # Errors
    ///
    /// [`Error::Receipt`] if the file cannot be locked, read or written.
    pub fn append(mut self, receipt: &mut Receipt) -> Result<(), Error> {
        let path = self.path;
        let failed = |source| Error::Receipt { path: path.clone(), source };
        // Released when the file is closed, also by a crash.
        self.file.lock().map_err(failed)?;
        let tail = Tail::read(&mut self.file).map_err(failed)?;
        receipt.previous = tail.last.unwrap_or_else(|| FIRST.to_owned());
        let mut line = Vec::with_capacity(4096);
        if tail.torn {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, receipt).map_err(|source| Error::Encode { what: "the receipt", source })?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)
    }
}

impl Verification {
    /// Whether nothing was changed, taken out or put in. A torn line is a crash, not a forgery.
    pub fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }
}

/// The end of a log.
struct Tail {
    /// Hash of the last whole receipt.
    last: Option<String>,
    /// Whether the file ends in the middle of a line.
    torn: bool,
}

impl Tail {
    fn read(file: &mut File) -> std::io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut window = TAIL;
        loop {
            let start = length.saturating_sub(window);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let torn = bytes.last().is_some_and(|byte| *byte != b'\n');
            let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            // After the last line break comes nothing, or a torn line.
            lines.pop();
            // The first is whole only if the window reaches the beginning of the file.
            let whole = if start == 0 { 0 } else { 1 };
            let last = lines
                .get(whole..)
                .unwrap_or_default()
                .iter()
                .rev()
                .find(|line| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok_and(|_| !line.is_empty()));
            if last.is_some() || start == 0 {
                return Ok(Self { last: last.map(|line| hash(line)), torn });
            }
            window *= 8;
        }
    }
}

/// Looks whether the file system has room for this user (`fstatvfs(3)`).
#[cfg(target_os = "linux")]
fn room(file: &File) -> std::io::Result<()> {
    const RECEIPT: u64 = 64 * 1024;
    let room = rustix::fs::fstatvfs(file)?;
    if room.f_bavail.saturating_mul(room.f_frsize) < RECEIPT {
        return Err(rustix::io::Errno::NOSPC.into());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn room(_: &File) -> std::io::Result<()> {
    Ok(())
}

fn hash(line: &[u8]) -> String {
    hex(&Sha256::digest(line))
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests;
