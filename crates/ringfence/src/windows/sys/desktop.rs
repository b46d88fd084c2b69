//! A desktop of a run's own, in a window station other than the user's.

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::System::StationsAndDesktops::{
    CloseDesktop, CloseWindowStation, CreateDesktopW, CreateWindowStationW, GetProcessWindowStation, GetThreadDesktop,
    GetUserObjectInformationW, HDESK, HWINSTA, SetProcessWindowStation, UOI_NAME,
};
use windows_sys::Win32::System::Threading::GetCurrentThreadId;

use super::call::{Aligned, check, wide};
use super::security::Attributes;

/// `GENERIC_ALL`, which the window manager maps to every right of the kind of object that is made.
const ALL: u32 = 0x1000_0000;

/// Which window station a process has is a property of the whole process: one thread at a time may change it.
static STATION_OF_PROCESS: Mutex<()> = Mutex::new(());

/// A desktop, and the window station that it lies in. They exist for as long as somebody holds them.
#[derive(Debug)]
pub(crate) struct Desktop {
    desktop: HDESK,
    station: Option<Station>,
    name: OsString,
}

/// A window station that was opened or made, closed with this value.
#[derive(Debug)]
struct Station(HWINSTA);

// SAFETY: both are handles of the process, which any of its threads may use and close.
unsafe impl Send for Desktop {}
// SAFETY: as above.
unsafe impl Send for Station {}

impl Desktop {
    /// Makes a desktop of this name in a window station of its own, which holds the clipboard and the atoms apart from
    /// the user's.
    ///
    /// The system names the station after the logon session, and hands out the same one to all of the session's
    /// processes that ask: names of one's own are for administrators
    /// (<https://learn.microsoft.com/windows/win32/api/winuser/nf-winuser-createwindowstationw>).
    pub(crate) fn in_own_station(name: &str, station: &Attributes, desktop: &Attributes) -> io::Result<Self> {
        let _one_at_a_time = STATION_OF_PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: no name, and attributes that outlive the call.
        let own = unsafe { CreateWindowStationW(ptr::null(), 0, ALL, station.as_ptr()) };
        if own.is_null() {
            return Err(io::Error::last_os_error());
        }
        let own = Station(own);
        // SAFETY: takes nothing; the handle that it returns must not be closed.
        let before = unsafe { GetProcessWindowStation() };
        // SAFETY: the handle is open.
        check(unsafe { SetProcessWindowStation(own.0) })?;
        let made = Self::in_station_of_process(name, desktop);
        // SAFETY: the handle is the process's own and stays open.
        check(unsafe { SetProcessWindowStation(before) })?;
        let made = made?;
        let mut path = name_of(own.0)?;
        path.push("\\");
        path.push(&made.name);
        Ok(Self { desktop: made.into_raw(), station: Some(own), name: path })
    }

    /// Makes a desktop of this name in the window station of this process.
    pub(crate) fn in_station_of_process(name: &str, descriptor: &Attributes) -> io::Result<Self> {
        let wide = wide(name)?;
        // SAFETY: the name ends with a zero; device and mode must be null; the attributes outlive the call.
        let desktop = unsafe { CreateDesktopW(wide.as_ptr(), ptr::null(), ptr::null(), 0, ALL, descriptor.as_ptr()) };
        if desktop.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { desktop, station: None, name: name.into() })
    }

    /// The name that a new process is given: the station's, a backslash, and the desktop's; or the desktop's alone,
    /// which means the station of the process that creates it.
    pub(crate) fn name(&self) -> &OsString {
        &self.name
    }

    /// Whether it lies in a window station of its own.
    pub(crate) fn has_own_station(&self) -> bool {
        self.station.is_some()
    }

    fn into_raw(self) -> HDESK {
        std::mem::ManuallyDrop::new(self).desktop
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and closed once. It can only fail while a thread of ours uses the desktop, and none
        // does.
        unsafe { CloseDesktop(self.desktop) };
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and closed once, after the process went back to its own station.
        unsafe { CloseWindowStation(self.0) };
    }
}

/// The name of the desktop that the calling thread is on.
pub(crate) fn of_this_thread() -> io::Result<OsString> {
    // SAFETY: takes a number; the handle that it returns must not be closed.
    let desktop = unsafe { GetThreadDesktop(GetCurrentThreadId()) };
    if desktop.is_null() {
        return Err(io::Error::last_os_error());
    }
    name_of(desktop)
}

/// The name of a window station or desktop.
fn name_of(object: HWINSTA) -> io::Result<OsString> {
    let mut needed = 0;
    // SAFETY: a null buffer of length zero asks for the size in bytes.
    unsafe { GetUserObjectInformationW(object, UOI_NAME, ptr::null_mut(), 0, &mut needed) };
    let mut buffer = Aligned::zeroed(needed as usize);
    let length = buffer.length()?;
    // SAFETY: the buffer has the length given.
    check(unsafe { GetUserObjectInformationW(object, UOI_NAME, buffer.as_mut_ptr(), length, &mut needed) })?;
    let units: Vec<u16> = buffer
        .bytes(needed as usize)
        .chunks_exact(2)
        .map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    Ok(OsString::from_wide(&units))
}
