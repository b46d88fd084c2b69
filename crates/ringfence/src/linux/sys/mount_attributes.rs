//! Attributes of a mount (`MOUNT_ATTR_*` of mount_setattr(2)).

pub(crate) const READ_ONLY: u64 = 1;
pub(crate) const NOSUID: u64 = 2;
pub(crate) const NODEV: u64 = 4;
