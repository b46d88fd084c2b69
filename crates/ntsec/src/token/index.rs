//! The SIDs of a token sorted by what they may match, laid out for speed.

use super::{GroupAttributes, TokenBuilder};
use crate::{Sid, well_known};

/// A set of SIDs. A filter of 256 bits answers for nearly all strangers without a look at the SIDs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SidIndex {
    filter: [u64; 4],
    sids: Vec<Sid>,
}

impl SidIndex {
    fn push(&mut self, sid: Sid) {
        let (word, bit) = filter_place(&sid);
        self.filter[word] |= bit;
        self.sids.push(sid);
    }

    pub(crate) fn contains(&self, sid: &Sid) -> bool {
        let (word, bit) = filter_place(sid);
        self.filter[word] & bit != 0 && self.sids.contains(sid)
    }
}

/// The word of the filter, and the bit in it, that stand for a SID.
fn filter_place(sid: &Sid) -> (usize, u64) {
    let hash = sid.fingerprint().wrapping_mul(0x85eb_ca6b) >> 24;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

/// The sets that the passes of an access check look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenIndex {
    /// Match grants: enabled SIDs.
    pub(crate) grants: SidIndex,
    /// Match denials only: disabled for grants.
    pub(crate) deny_only: SidIndex,
    /// The restricting SIDs: match both.
    pub(crate) restricting: SidIndex,
    /// Package and enabled capabilities: match grants.
    pub(crate) lowbox: SidIndex,
}

impl TokenIndex {
    pub(super) fn new(parts: &TokenBuilder) -> Self {
        let mut index = TokenIndex {
            grants: SidIndex::default(),
            deny_only: SidIndex::default(),
            restricting: SidIndex::default(),
            lowbox: SidIndex::default(),
        };
        if parts.user_deny_only { &mut index.deny_only } else { &mut index.grants }.push(parts.user);
        for group in &parts.groups {
            if group.attributes.contains(GroupAttributes::USE_FOR_DENY_ONLY) {
                index.deny_only.push(group.sid);
            } else if group.attributes.contains(GroupAttributes::ENABLED) {
                index.grants.push(group.sid);
            }
        }
        if let Some(restricting) = &parts.restricting {
            restricting.sids.iter().for_each(|sid| index.restricting.push(*sid));
        }
        if let Some(lowbox) = &parts.lowbox {
            index.lowbox.push(lowbox.package);
            if !lowbox.less_privileged {
                index.lowbox.push(well_known::ALL_APPLICATION_PACKAGES);
            }
            index.lowbox.push(well_known::ALL_RESTRICTED_APPLICATION_PACKAGES);
            for capability in &lowbox.capabilities {
                if capability.attributes.contains(GroupAttributes::ENABLED) {
                    index.lowbox.push(capability.sid);
                }
            }
        }
        index
    }
}
