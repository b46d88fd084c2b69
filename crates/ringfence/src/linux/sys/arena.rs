//! Memory that a process and the one it starts both see.
//!
//! The supervisor writes a script into it after the other process was made, and that process reads it at the same
//! addresses. Nothing else of the supervisor's memory from after that moment exists there, so whatever a script refers to
//! must lie in here: only an arena makes a [`Shared`].

use std::cell::Cell;
use std::ffi::CStr;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use super::call::Errno;
use super::launch::Borrowed;

/// A piece of shared memory, filled from front to back.
#[derive(Debug)]
pub(crate) struct Arena {
    mapping: Arc<Mapping>,
    used: Cell<usize>,
}

/// Something that lies in an arena, and is not changed by the supervisor any more.
#[derive(Debug)]
pub(crate) struct Shared<'a, T: ?Sized>(&'a T);

/// The memory of an arena, which stays as long as anybody holds this.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
}

// SAFETY: the value is an address range that it owns; what is written there is written through an arena, which is not
// shared between threads.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing can be read or written through a shared reference.
unsafe impl Sync for Mapping {}

/// Address space, not memory: only pages that are written to exist. A policy of 10,000 entries takes two of it.
const SIZE: usize = 32 << 20;

/// In front of everything else there is a stack for a process that has no memory of its own, and in front of that a range
/// that cannot be touched, should the stack ever be too small.
const STACK: std::ops::Range<usize> = 64 << 10..256 << 10;

impl Arena {
    /// Reserves memory that a process with a copy of this one's memory sees as well.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` or `mprotect(2)` answered.
    pub(crate) fn shared() -> std::io::Result<Self> {
        Mapping::new(libc::MAP_SHARED).map(|mapping| Self::empty(Arc::new(mapping)))
    }

    /// Memory for the process that borrows all of this one's. There is one at a time, so it is the same memory each time,
    /// which nobody has to unmap.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` or `mprotect(2)` answered.
    pub(super) fn own(_: &Borrowed) -> std::io::Result<Self> {
        static MAPPING: Mutex<Option<Arc<Mapping>>> = Mutex::new(None);
        let mut mapping = MAPPING.lock().unwrap_or_else(PoisonError::into_inner);
        if mapping.is_none() {
            *mapping = Some(Arc::new(Mapping::new(libc::MAP_PRIVATE)?));
        }
        mapping.as_ref().map(|mapping| Self::empty(Arc::clone(mapping))).ok_or_else(|| Errno(libc::ENOMEM).into())
    }

    fn empty(mapping: Arc<Mapping>) -> Self {
        Self { mapping, used: Cell::new(STACK.end) }
    }

    /// The upper end of the stack, for one process.
    pub(super) fn stack(&self) -> NonNull<u8> {
        // SAFETY: the offset is inside the mapping.
        unsafe { self.mapping.base.add(STACK.end) }
    }

    /// Keeps the memory where it is as long as the result lives.
    pub(super) fn keep(&self) -> Arc<Mapping> {
        Arc::clone(&self.mapping)
    }

    /// Puts a value in.
    ///
    /// # Errors
    ///
    /// `E2BIG` if the arena is full.
    pub(crate) fn value<T>(&self, value: T) -> std::io::Result<Shared<'_, T>> {
        let Shared(list) = self.list([value])?;
        Ok(Shared(&list[0]))
    }

    /// Puts a list in.
    ///
    /// # Errors
    ///
    /// `E2BIG` if the arena is full.
    pub(crate) fn list<T>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> std::io::Result<Shared<'_, [T]>> {
        const { assert!(!std::mem::needs_drop::<T>(), "nothing in an arena is dropped") };
        let items = items.into_iter();
        let room = items.len();
        let size = room.checked_mul(size_of::<T>()).ok_or(Errno(libc::E2BIG))?;
        let first = self.reserve(size, align_of::<T>())?.cast::<T>();
        let mut length = 0;
        for item in items.take(room) {
            // SAFETY: the reserved bytes are aligned for the type, hold `room` of it, and nobody else was given them.
            unsafe { first.add(length).write(item) };
            length += 1;
        }
        // SAFETY: that many items were written; this process never writes them again, and they live as long as the arena.
        Ok(Shared(unsafe { std::slice::from_raw_parts(first.as_ptr(), length) }))
    }

    /// Puts a string in that a system call can take.
    ///
    /// # Errors
    ///
    /// `E2BIG` if the arena is full, `EINVAL` if the string has a NUL byte in it.
    pub(crate) fn c_string(&self, text: &[u8]) -> std::io::Result<Shared<'_, CStr>> {
        let first = self.reserve(text.len() + 1, 1)?;
        // SAFETY: that many bytes were reserved, nobody else was given them, and a fresh mapping does not overlap the text.
        let bytes = unsafe {
            first.copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
            first.add(text.len()).write(0);
            std::slice::from_raw_parts(first.as_ptr(), text.len() + 1)
        };
        CStr::from_bytes_with_nul(bytes).map(Shared).map_err(|_| Errno(libc::EINVAL).into())
    }

    /// Takes the next bytes that nobody was given.
    fn reserve(&self, size: usize, alignment: usize) -> std::io::Result<NonNull<u8>> {
        let start = self.used.get().next_multiple_of(alignment);
        let end = start.checked_add(size).filter(|end| *end <= SIZE).ok_or(Errno(libc::E2BIG))?;
        self.used.set(end);
        // SAFETY: the offset is inside the mapping, which begins at a page and so keeps any alignment.
        Ok(unsafe { self.mapping.base.add(start) })
    }
}

impl Mapping {
    fn new(sharing: i32) -> std::io::Result<Self> {
        let flags = sharing | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that exists.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(Errno::last().into());
        }
        let mapping = NonNull::new(base.cast::<u8>()).map(|base| Self { base }).ok_or(Errno(libc::ENOMEM))?;
        // SAFETY: the range lies in the new mapping, which nobody uses yet.
        match unsafe { libc::mprotect(base, STACK.start, libc::PROT_NONE) } {
            0 => Ok(mapping),
            _ => Err(Errno::last().into()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing can refer to the mapping any more: what lies in it borrows the arena, which holds it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), SIZE) };
    }
}

impl<'a, T: ?Sized> Shared<'a, T> {
    /// Where it lies, in both processes.
    pub(super) fn address(self) -> usize {
        std::ptr::from_ref(self.0).cast::<()>() as usize
    }
}

impl<T: ?Sized> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Shared<'_, T> {}

impl<T: ?Sized> Deref for Shared<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use super::*;

    #[test]
    fn what_was_put_in_stays_where_it_is() {
        let arena = Arena::shared().unwrap();
        let byte = arena.value(7_u8).unwrap();
        let words = arena.list([1_u64, 2, 3]).unwrap();
        let text = arena.c_string(b"/a path").unwrap();
        let empty = arena.list([0_u64; 0]).unwrap();
        assert_eq!((*byte, &*words, &*text, empty.len()), (7, &[1, 2, 3][..], c"/a path", 0));
        assert_eq!(words.address() % align_of::<u64>(), 0);
        assert!(arena.c_string(b"a\0b").is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let arena = Arena::shared().unwrap();
        let error = arena.list(vec![0_u64; SIZE / 8 + 1]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::E2BIG));
        // The refusal took nothing.
        assert!(arena.c_string(&[b'a'; 100]).is_ok());
    }

    #[test]
    fn a_process_that_was_made_before_reads_what_is_put_in_after() {
        let arena = Arena::shared().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let (mut go, told) = (writer, reader);
        let first = arena.mapping.base.as_ptr() as usize + STACK.end;
        // SAFETY: the child only makes system calls, on a copy of this memory.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let mut byte = [0];
            let read = call::read(std::os::fd::AsRawFd::as_raw_fd(&told), &mut byte);
            // SAFETY: the mapping is shared, and the parent has written there before it wrote to the pipe.
            let seen = unsafe { *(first as *const u8) };
            call::exit(if read == Ok(1) { i32::from(seen) } else { 1 });
        }
        assert!(pid > 0);
        arena.value(42_u8).unwrap();
        std::io::Write::write_all(&mut go, b"+").unwrap();
        let mut status = 0;
        // SAFETY: the status is writable.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 42);
    }
}
