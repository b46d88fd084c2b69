//! The SIDs that ringfence makes for itself.
//!
//! They have the shape of account SIDs, because `CreateRestrictedToken` takes such SIDs without question and every ACL editor
//! shows them. The RID is above 2^31, which no domain controller ever issues (RIDs have 30 bits, 31 when the limit is
//! lifted: <https://learn.microsoft.com/windows-server/identity/ad-ds/manage/managing-rid-issuance>), so that they can be
//! recognised with certainty and can never meet a real account.

use sha2::{Digest, Sha256};

use super::Sid;

/// What a SID of ringfence's own stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RingfenceSid {
    /// One workspace on one machine: the same for as long as the folder exists.
    Workspace,
    /// One execution.
    Run,
    /// Every execution on one machine.
    Marker,
}

impl RingfenceSid {
    const ALL: [RingfenceSid; 3] = [RingfenceSid::Workspace, RingfenceSid::Run, RingfenceSid::Marker];

    /// The last sub-authority of such a SID.
    pub const fn rid(self) -> u32 {
        match self {
            RingfenceSid::Workspace => 3_735_000_001,
            RingfenceSid::Run => 3_735_000_002,
            RingfenceSid::Marker => 3_735_000_003,
        }
    }
}

impl Sid {
    /// The SID of a workspace: a hash of a secret of this machine, the volume's serial number and the folder's file id
    /// (`FILE_ID_INFO`: <https://learn.microsoft.com/windows/win32/api/winbase/ns-winbase-file_id_info>).
    ///
    /// Nothing has to be stored to find it again, and without the secret nobody can compute the SID of somebody else's
    /// workspace.
    pub fn ringfence_workspace(machine_secret: &[u8; 32], volume_serial: u64, file_id: u128) -> Sid {
        let mut hash = Sha256::new_with_prefix(b"ringfence workspace SID 1\0");
        hash.update(machine_secret);
        hash.update(volume_serial.to_le_bytes());
        hash.update(file_id.to_le_bytes());
        Self::from_hash(hash, RingfenceSid::Workspace)
    }

    /// The SID of one execution, from 16 bytes that the caller took from the operating system's random source.
    pub fn ringfence_run(random: &[u8; 16]) -> Sid {
        let mut hash = Sha256::new_with_prefix(b"ringfence run SID 1\0");
        hash.update(random);
        Self::from_hash(hash, RingfenceSid::Run)
    }

    /// The SID that every run on this machine carries, so that a network filter can name them all.
    pub fn ringfence_marker(machine_secret: &[u8; 32]) -> Sid {
        let mut hash = Sha256::new_with_prefix(b"ringfence marker SID 1\0");
        hash.update(machine_secret);
        Self::from_hash(hash, RingfenceSid::Marker)
    }

    /// Which kind of ringfence SID this is, if it is one.
    pub fn ringfence_kind(&self) -> Option<RingfenceSid> {
        if self.authority != 5 || self.count != 5 || self.sub_authorities[0] != 21 {
            return None;
        }
        RingfenceSid::ALL.into_iter().find(|kind| self.rid() == Some(kind.rid()))
    }

    /// Whether ringfence made this SID: what `uninstall` searches for.
    pub fn is_ringfence(&self) -> bool {
        self.ringfence_kind().is_some()
    }

    fn from_hash(hash: Sha256, kind: RingfenceSid) -> Sid {
        let digest = hash.finalize();
        let word = |at: usize| u32::from_le_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]);
        Sid::known(5, &[21, word(0), word(4), word(8), kind.rid()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_is_stable_and_separates_its_inputs() {
        let workspace = Sid::ringfence_workspace(&[7; 32], 0x1234, 99);
        assert_eq!(workspace, Sid::ringfence_workspace(&[7; 32], 0x1234, 99));
        // Frozen: a change of this value would orphan every ACE on users' disks.
        assert_eq!(workspace.to_string(), "S-1-5-21-1325207522-4198361553-168475170-3735000001");
        for other in [
            Sid::ringfence_workspace(&[8; 32], 0x1234, 99),
            Sid::ringfence_workspace(&[7; 32], 0x1235, 99),
            Sid::ringfence_workspace(&[7; 32], 0x1234, 100),
            Sid::ringfence_run(&[7; 16]),
            Sid::ringfence_marker(&[7; 32]),
        ] {
            assert_ne!(workspace, other);
            assert!(other.is_ringfence());
        }
    }

    #[test]
    fn only_our_own_are_recognised() {
        assert_eq!(Sid::ringfence_run(&[0; 16]).ringfence_kind(), Some(RingfenceSid::Run));
        for text in ["S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3735000001", "S-1-15-21-1-2-3-3735000001", "S-1-5-32-544"] {
            assert!(!text.parse::<Sid>().unwrap().is_ringfence(), "{text}");
        }
        assert!("S-1-5-21-1-2-3-3735000001".parse::<Sid>().unwrap().is_ringfence());
    }
}
