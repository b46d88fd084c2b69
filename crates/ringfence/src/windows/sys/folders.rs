//! Known folders: where the user's and the system's directories are, whatever the environment says.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW};
use windows_sys::Win32::UI::Shell::{
    FOLDERID_LocalAppData, FOLDERID_Profile, FOLDERID_ProgramData, FOLDERID_ProgramFiles, FOLDERID_ProgramFilesX86,
    FOLDERID_RoamingAppData, FOLDERID_Windows,
};
use windows_sys::core::{GUID, HRESULT};

use super::call::{check_hresult, wide};

/// A folder that the system knows (<https://learn.microsoft.com/windows/win32/shell/knownfolderid>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folder {
    Windows,
    ProgramData,
    ProgramFiles,
    ProgramFilesX86,
    Profile,
    LocalAppData,
    RoamingAppData,
}

type GetPath = unsafe extern "system" fn(*const GUID, u32, HANDLE, *mut *mut u16) -> HRESULT;
type Free = unsafe extern "system" fn(*const core::ffi::c_void);

/// The functions that know. Loaded when they are needed, which is once per boot: the libraries would double the time that
/// every start of the program takes.
pub(crate) struct Folders {
    get_path: GetPath,
    free: Free,
}

impl Folders {
    pub(crate) fn load() -> io::Result<Self> {
        let (shell, ole) = (library("shell32.dll")?, library("ole32.dll")?);
        // SAFETY: both names end with a zero, the libraries stay loaded, and the functions have these types
        // (https://learn.microsoft.com/windows/win32/api/shlobj_core/nf-shlobj_core-shgetknownfolderpath,
        // https://learn.microsoft.com/windows/win32/api/combaseapi/nf-combaseapi-cotaskmemfree).
        unsafe {
            let get_path = GetProcAddress(shell, c"SHGetKnownFolderPath".as_ptr().cast());
            let free = GetProcAddress(ole, c"CoTaskMemFree".as_ptr().cast());
            let (Some(get_path), Some(free)) = (get_path, free) else {
                return Err(io::Error::last_os_error());
            };
            Ok(Self {
                get_path: std::mem::transmute::<unsafe extern "system" fn() -> isize, GetPath>(get_path),
                free: std::mem::transmute::<unsafe extern "system" fn() -> isize, Free>(free),
            })
        }
    }

    /// Where a folder is.
    pub(crate) fn path(&self, folder: Folder) -> io::Result<OsString> {
        let id = match folder {
            Folder::Windows => FOLDERID_Windows,
            Folder::ProgramData => FOLDERID_ProgramData,
            Folder::ProgramFiles => FOLDERID_ProgramFiles,
            Folder::ProgramFilesX86 => FOLDERID_ProgramFilesX86,
            Folder::Profile => FOLDERID_Profile,
            Folder::LocalAppData => FOLDERID_LocalAppData,
            Folder::RoamingAppData => FOLDERID_RoamingAppData,
        };
        let mut path = ptr::null_mut();
        // SAFETY: the identifier and the out pointer are valid for the call; a null token means the caller.
        let result = check_hresult(unsafe { (self.get_path)(&id, 0, ptr::null_mut(), &mut path) });
        let found = result.map(|()| {
            // SAFETY: on success the pointer leads to a string that ends with a zero.
            let units = unsafe {
                let length = (0..).take_while(|&at| *path.add(at) != 0).count();
                std::slice::from_raw_parts(path, length)
            };
            OsString::from_wide(units)
        });
        // SAFETY: the call asks for its result to be freed this way, also after a failure, where it is null.
        unsafe { (self.free)(path.cast()) };
        found
    }
}

fn library(name: &str) -> io::Result<HMODULE> {
    let name = wide(name)?;
    // SAFETY: the name ends with a zero; it is looked for in the system's directory only.
    let library = unsafe { LoadLibraryExW(name.as_ptr(), ptr::null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32) };
    if library.is_null() { Err(io::Error::last_os_error()) } else { Ok(library) }
}
