//! The bits of a Landlock ruleset, by ABI (landlock(7), `linux/landlock.h`).

use crate::plan::linux::{FileAccess, LandlockPlan, Scope};

const READ: u64 = 1 | 1 << 2 | 1 << 3; // EXECUTE, READ_FILE, READ_DIR
const WRITE_FILE: u64 = 1 << 1;
const REMOVE: u64 = 1 << 4 | 1 << 5; // REMOVE_DIR, REMOVE_FILE
const MAKE_DEVICE: u64 = 1 << 6 | 1 << 11; // MAKE_CHAR, MAKE_BLOCK
const MAKE: u64 = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12; // MAKE_DIR, _REG, _SOCK, _FIFO, _SYM
/// Rights that came later, with the ABI that brought them.
const REFER: [(u32, u64); 1] = [(2, 1 << 13)];
const TRUNCATE_AND_IOCTL: [(u32, u64); 2] = [(3, 1 << 14), (5, 1 << 15)];

/// `CONNECT_TCP`.
pub(super) const CONNECT: u64 = 2;
const TCP: u64 = 1 | CONNECT; // BIND_TCP, CONNECT_TCP

/// Rights that the ruleset takes away unless a rule gives them.
pub(super) fn handled(plan: &LandlockPlan) -> u64 {
    // Nobody ever gets to make a device, so no rule gives that.
    granted(plan.abi, &plan.handled) | if plan.handled.contains(&FileAccess::Write) { MAKE_DEVICE } else { 0 }
}

/// Rights of a rule.
pub(super) fn granted(abi: u32, access: &[FileAccess]) -> u64 {
    access.iter().fold(0, |bits, access| {
        bits | match access {
            FileAccess::Read => READ,
            FileAccess::Write => known(abi, &REFER) | WRITE_FILE | REMOVE | MAKE,
            FileAccess::Descriptor => known(abi, &TRUNCATE_AND_IOCTL),
        }
    })
}

/// Network rights that the ruleset takes away.
pub(super) fn network(plan: &LandlockPlan) -> u64 {
    if plan.handles_tcp { TCP } else { 0 }
}

/// Scopes.
pub(super) fn scoped(plan: &LandlockPlan) -> u64 {
    plan.scopes.iter().fold(0, |bits, scope| {
        bits | match scope {
            Scope::AbstractUnixSocket => 1,
            Scope::Signal => 2,
        }
    })
}

fn known(abi: u32, rights: &[(u32, u64)]) -> u64 {
    rights.iter().filter(|(since, _)| *since <= abi).fold(0, |bits, (_, right)| bits | right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(abi: u32) -> LandlockPlan {
        let handled = vec![FileAccess::Read, FileAccess::Write, FileAccess::Descriptor];
        LandlockPlan { abi, handled, handles_tcp: false, connect: vec![], rules: vec![], scopes: vec![] }
    }

    #[test]
    fn each_abi_handles_exactly_the_rights_that_it_knows() {
        // LANDLOCK_ACCESS_FS_* has 13 rights in ABI 1, then one more in each of 2, 3 and 5.
        for (abi, rights) in [(1, 13), (2, 14), (3, 15), (4, 15), (5, 16), (7, 16)] {
            assert_eq!(handled(&plan(abi)), (1 << rights) - 1, "ABI {abi}");
        }
    }

    #[test]
    fn no_rule_lets_anyone_make_a_device() {
        assert_eq!(granted(7, &[FileAccess::Read, FileAccess::Write]) & MAKE_DEVICE, 0);
    }
}
