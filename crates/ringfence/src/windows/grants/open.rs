//! From a path of the plan to an open object, component by component.

use std::ffi::OsStr;

use ringfence_ntsec::{AccessMask, SecurityDescriptor};

use crate::Error;
use crate::facts::windows::ObjectId;
use crate::windows::disk::{Disk, FileId, ReparseKind, Stat};
use crate::windows::ledger::Why;
use crate::windows::path::WindowsPath;

/// An open object and what it is.
#[derive(Debug)]
pub(super) struct Opened<H> {
    pub(super) handle: H,
    pub(super) stat: Stat,
}

/// What an object is opened with to look at its descriptor.
pub(super) const LOOK: AccessMask = AccessMask(AccessMask::READ_CONTROL.0 | AccessMask::FILE_READ_ATTRIBUTES.0);

/// What an object is opened with to edit its descriptor.
pub(super) const EDIT: AccessMask = AccessMask(LOOK.0 | AccessMask::WRITE_DAC.0);

/// Opens what lies at `path`, through no link. Each directory on the way costs one open and one look.
///
/// # Errors
/// [`Error::RootChanged`] if nothing is there any more, or a link leads there now; [`Error::Disk`].
pub(super) fn open_path<D: Disk>(disk: &D, path: &WindowsPath, access: AccessMask) -> Result<Opened<D::Handle>, Error> {
    let failed = |error: crate::windows::disk::DiskError| match error.status {
        status if status.is_gone() => Error::RootChanged { path: path.to_path_buf() },
        _ => error.at(path.to_path_buf()),
    };
    let (volume, names) = path.nt_components();
    let mut names = names.peekable();
    let access_of = |is_last: bool| if is_last { access } else { AccessMask::FILE_READ_ATTRIBUTES };
    let handle = disk.open_volume(OsStr::new(&volume), access_of(names.peek().is_none())).map_err(failed)?;
    let mut opened = Opened { stat: disk.stat(&handle).map_err(failed)?, handle };
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        let handle = disk.open_child(&opened.handle, OsStr::new(name), access_of(is_last)).map_err(failed)?;
        let stat = disk.stat(&handle).map_err(failed)?;
        let leads_elsewhere = stat.reparse.is_some_and(|tag| tag.kind() == ReparseKind::Link);
        if leads_elsewhere || (!is_last && !stat.is_directory) {
            return Err(Error::RootChanged { path: path.to_path_buf() });
        }
        opened = Opened { handle, stat };
    }
    Ok(opened)
}

/// As [`open_path`], and it must be this object.
///
/// # Errors
/// As [`open_path`]; [`Error::RootChanged`] if another object lies there.
pub(super) fn open_object<D: Disk>(
    disk: &D,
    path: &WindowsPath,
    object: ObjectId,
    access: AccessMask,
) -> Result<Opened<D::Handle>, Error> {
    let opened = open_path(disk, path, access)?;
    if opened.stat.object != object {
        return Err(Error::RootChanged { path: path.to_path_buf() });
    }
    Ok(opened)
}

/// Opens an object by its id, and says what it is.
pub(super) fn open_id<D: Disk>(
    disk: &D,
    anchor: &D::Handle,
    file: FileId,
    access: AccessMask,
) -> Result<Opened<D::Handle>, crate::windows::disk::DiskError> {
    let handle = disk.open_by_id(anchor, file, access)?;
    Ok(Opened { stat: disk.stat(&handle)?, handle })
}

/// The descriptor of an open object.
pub(super) fn descriptor<D: Disk>(disk: &D, handle: &D::Handle) -> Result<SecurityDescriptor, Why> {
    let bytes = disk.security(handle).map_err(why)?;
    SecurityDescriptor::from_bytes(&bytes).map_err(|_| Why::Malformed)
}

/// Why a failed call leaves an object alone.
pub(super) fn why(error: crate::windows::disk::DiskError) -> Why {
    if error.status.is_denied() { Why::Denied } else { Why::Failed { status: error.status.0 } }
}
