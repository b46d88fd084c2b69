//! One round through the DACL.

use super::explain::{Event, Observer};
use super::{Conditions, Pass, Refusal};
use crate::token::SidIndex;
use crate::{AccessMask, Ace, AceKind, Sid, well_known};

/// The DACL seen with the SIDs of one pass.
pub(super) struct Walk<'a> {
    pub(super) pass: Pass,
    pub(super) aces: &'a [Ace],
    pub(super) owner: Option<&'a Sid>,
    pub(super) grants: &'a SidIndex,
    pub(super) denials: [Option<&'a SidIndex>; 2],
    pub(super) conditions: Conditions,
}

enum Effect {
    Grant,
    Deny,
    None,
}

impl Walk<'_> {
    /// Grants all of `wanted` or refuses: the first ACE that speaks about a right decides it.
    pub(super) fn exactly(&self, wanted: AccessMask, observer: &mut impl Observer) -> Result<(), Refusal> {
        let mut remaining = wanted;
        for (index, ace) in self.aces.iter().enumerate() {
            if remaining.is_empty() {
                break;
            }
            let bits = ace.mask & remaining;
            if bits.is_empty() {
                continue;
            }
            match self.effect(index, ace, bits, observer) {
                Effect::Grant => {
                    remaining -= bits;
                    observer.observe(Event::Granted { pass: self.pass, index, granted: bits });
                }
                Effect::Deny => {
                    observer.observe(Event::Denied { pass: self.pass, index, denied: bits });
                    return Err(Refusal::Denied { pass: self.pass, index, denied: bits });
                }
                Effect::None => {}
            }
        }
        if remaining.is_empty() {
            return Ok(());
        }
        observer.observe(Event::NotGranted { pass: self.pass, missing: remaining });
        Err(Refusal::NotGranted { pass: self.pass, missing: remaining })
    }

    /// All that the DACL grants: the first ACE that speaks about a right decides it.
    pub(super) fn at_most(&self, observer: &mut impl Observer) -> AccessMask {
        let mut granted = AccessMask::NONE;
        let mut denied = AccessMask::NONE;
        for (index, ace) in self.aces.iter().enumerate() {
            let bits = ace.mask - granted - denied;
            if bits.is_empty() {
                continue;
            }
            match self.effect(index, ace, bits, observer) {
                Effect::Grant => {
                    granted |= bits;
                    observer.observe(Event::Granted { pass: self.pass, index, granted: bits });
                }
                Effect::Deny => {
                    denied |= bits;
                    observer.observe(Event::Denied { pass: self.pass, index, denied: bits });
                }
                Effect::None => {}
            }
        }
        granted
    }

    fn effect(&self, index: usize, ace: &Ace, bits: AccessMask, observer: &mut impl Observer) -> Effect {
        if ace.is_inherit_only() {
            return Effect::None;
        }
        let effect = match ace.kind {
            AceKind::Allowed | AceKind::AllowedCallback => Effect::Grant,
            AceKind::Denied | AceKind::DeniedCallback => Effect::Deny,
            // A check that names no object type: a grant for one type does not reach the object as a whole …
            AceKind::AllowedObject | AceKind::AllowedCallbackObject if ace.objects.object.is_none() => Effect::Grant,
            // … but a denial for one does.
            AceKind::DeniedObject | AceKind::DeniedCallbackObject => Effect::Deny,
            _ => return Effect::None,
        };
        let matches = match effect {
            Effect::Grant => self.matches(ace, &[Some(self.grants), None]),
            _ => self.matches(ace, &self.denials),
        };
        if !matches {
            return Effect::None;
        }
        if ace.kind.is_conditional() && self.conditions == Conditions::Unmet {
            observer.observe(Event::ConditionAssumedUnmet { pass: self.pass, index, concerned: bits });
            return Effect::None;
        }
        effect
    }

    /// Whether the ACE names somebody in one of the sets. OWNER RIGHTS stands for the owner.
    fn matches(&self, ace: &Ace, sets: &[Option<&SidIndex>; 2]) -> bool {
        let sid = if ace.sid == well_known::OWNER_RIGHTS {
            match self.owner {
                Some(owner) => owner,
                None => return false,
            }
        } else {
            &ace.sid
        };
        sets.iter().flatten().any(|set| set.contains(sid))
    }
}
