//! The SIDs of a token sorted by what they may match, laid out for speed.

use super::{GroupAttributes, TokenBuilder};
use crate::{Sid, well_known};

/// A set of SIDs: one word per SID tells nearly all strangers apart without touching the SIDs themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SidIndex {
    fingerprints: Vec<u32>,
    sids: Vec<Sid>,
}

impl SidIndex {
    fn push(&mut self, sid: Sid) {
        self.fingerprints.push(sid.fingerprint());
        self.sids.push(sid);
    }

    pub(crate) fn contains(&self, sid: &Sid) -> bool {
        self.contains_hashed(sid, sid.fingerprint())
    }

    /// As [`SidIndex::contains`], with the fingerprint that the caller computed once for several sets.
    pub(crate) fn contains_hashed(&self, sid: &Sid, fingerprint: u32) -> bool {
        // Two passes: the first is a plain scan of words, which the compiler turns into vector instructions.
        let suspect = self
            .fingerprints
            .iter()
            .fold(false, |found, word| found | (*word == fingerprint));
        suspect && self.sids.contains(sid)
    }
}

impl FromIterator<Sid> for SidIndex {
    fn from_iter<I: IntoIterator<Item = Sid>>(sids: I) -> Self {
        let mut index = SidIndex::default();
        sids.into_iter().for_each(|sid| index.push(sid));
        index
    }
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
        if parts.user_deny_only {
            &mut index.deny_only
        } else {
            &mut index.grants
        }
        .push(parts.user);
        for group in &parts.groups {
            if group
                .attributes
                .contains(GroupAttributes::USE_FOR_DENY_ONLY)
            {
                index.deny_only.push(group.sid);
            } else if group.attributes.contains(GroupAttributes::ENABLED) {
                index.grants.push(group.sid);
            }
        }
        if let Some(restricting) = &parts.restricting {
            restricting
                .sids
                .iter()
                .for_each(|sid| index.restricting.push(*sid));
        }
        if let Some(lowbox) = &parts.lowbox {
            index.lowbox.push(lowbox.package);
            if !lowbox.less_privileged {
                index.lowbox.push(well_known::ALL_APPLICATION_PACKAGES);
            }
            index
                .lowbox
                .push(well_known::ALL_RESTRICTED_APPLICATION_PACKAGES);
            for capability in &lowbox.capabilities {
                if capability.attributes.contains(GroupAttributes::ENABLED) {
                    index.lowbox.push(capability.sid);
                }
            }
        }
        index
    }
}
