//! Which entries of ours an object should carry, and the DACL with exactly those.
//!
//! An edit only ever adds entries of one SID or takes them out; everything else keeps its place. What is inherited is what
//! Windows itself would hand down ([`ringfence_ntsec::inherit`]), so that files made later, files reached by the walk and a
//! later propagation by another program all agree.

use std::sync::Arc;

use ringfence_ntsec::inherit::{ChildKind, inherited_aces};
use ringfence_ntsec::{Ace, AceFlags, Acl, AclState, Control, ObjectType, SecurityDescriptor, Sid};

use crate::windows::ledger::Why;

/// What a directory hands down to what lies in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Below {
    container: Vec<Ace>,
    leaf: Vec<Ace>,
}

/// The entries of ours on one object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Entries {
    explicit: Vec<Ace>,
    inherited: Vec<Ace>,
}

/// Two DACLs as self-relative descriptors, ready to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Without entries of ours.
    pub(super) before: Arc<[u8]>,
    /// With those that the object should carry.
    pub(super) after: Arc<[u8]>,
}

impl Below {
    /// What these entries hand down.
    pub(super) fn of(entries: &Entries) -> Self {
        let ours: Vec<Ace> = entries.in_order().cloned().collect();
        let pass = |kind| inherited_aces(&ours, kind, None, None, &ObjectType::File.mapping());
        Self { container: pass(ChildKind::Container), leaf: pass(ChildKind::Leaf) }
    }

    fn to(&self, kind: ChildKind) -> &[Ace] {
        match kind {
            ChildKind::Container => &self.container,
            ChildKind::Leaf => &self.leaf,
        }
    }
}

impl Entries {
    /// What an object should carry that takes `from` its directory and has entries of its own by the plan. A protected DACL
    /// takes nothing, so that it gets the same as entries of its own.
    pub(super) fn wanted(own: &[Ace], from: &Below, kind: ChildKind, is_protected: bool) -> Self {
        let handed = from.to(kind);
        let mut explicit = own.to_vec();
        if !is_protected {
            return Self::sorted(explicit, handed.to_vec());
        }
        for ace in handed {
            let mut ace = ace.clone();
            ace.flags -= AceFlags::INHERITED;
            if !explicit.contains(&ace) {
                explicit.push(ace);
            }
        }
        Self::sorted(explicit, Vec::new())
    }

    /// Those of `sid` that an object carries.
    pub(super) fn found(dacl: &Acl, sid: &Sid) -> Self {
        let (inherited, explicit) = ours(dacl, sid).cloned().partition(Ace::is_inherited);
        Self { explicit, inherited }
    }

    /// The same inherited entries, with other entries of its own.
    pub(super) fn with_own(self, own: &[Ace]) -> Self {
        Self::sorted(own.to_vec(), self.inherited)
    }

    /// Whether there is nothing that grants.
    pub(super) fn grants_nothing(&self) -> bool {
        !self.in_order().any(|ace| ace.kind.is_allow())
    }

    /// Whether each of `own` is among the entries of the object's own, denials first.
    pub(super) fn hold(&self, own: &[Ace]) -> bool {
        own.iter().all(|ace| self.explicit.contains(ace)) && self.explicit.is_sorted_by_key(|ace| !ace.kind.is_deny())
    }

    /// Whether what is made in a directory of this DACL would inherit from us and from nobody else. Then it would have our
    /// entries and no others, where it had the maker's default DACL: its owner could not even read it
    /// (<https://learn.microsoft.com/windows/win32/secauthz/dacl-for-a-new-object>).
    fn would_be_all(&self, others: &Acl) -> bool {
        [AceFlags::OBJECT_INHERIT, AceFlags::CONTAINER_INHERIT].into_iter().any(|kind| {
            let hands_down = |ace: &Ace| ace.flags.contains(kind);
            self.in_order().any(hands_down) && !others.aces().iter().any(hands_down)
        })
    }

    fn sorted(mut explicit: Vec<Ace>, inherited: Vec<Ace>) -> Self {
        explicit.sort_by_key(|ace| !ace.kind.is_deny());
        Self { explicit, inherited }
    }

    fn in_order(&self) -> impl Iterator<Item = &Ace> {
        self.explicit.iter().chain(&self.inherited)
    }
}

impl Change {
    /// The edit that gives the object of this descriptor exactly these entries of `sid`; `None` if it has them.
    ///
    /// # Errors
    /// Why it cannot be edited.
    pub(super) fn to(descriptor: &SecurityDescriptor, sid: &Sid, wanted: &Entries) -> Result<Option<Self>, Why> {
        let AclState::Present(dacl) = &descriptor.dacl else {
            return Err(Why::NoDacl);
        };
        if ours(dacl, sid).eq(wanted.in_order()) {
            return Ok(None);
        }
        let mut bare = dacl.clone();
        bare.remove_sid(sid);
        if wanted.would_be_all(&bare) {
            return Err(Why::NothingInherited);
        }
        let mut edited = bare.clone();
        for ace in &wanted.explicit {
            edited.insert(ace.clone()).map_err(|_| Why::DaclFull)?;
        }
        edited.insert_inherited(&wanted.inherited).map_err(|_| Why::DaclFull)?;
        Ok(Some(Self { before: dacl_only(descriptor, bare)?, after: dacl_only(descriptor, edited)? }))
    }
}

/// The DACL of a descriptor as it is, in the form that is set.
pub(super) fn current(descriptor: &SecurityDescriptor) -> Option<Arc<[u8]>> {
    let dacl = descriptor.dacl.acl()?.clone();
    dacl_only(descriptor, dacl).ok()
}

fn ours<'a>(dacl: &'a Acl, sid: &Sid) -> impl Iterator<Item = &'a Ace> {
    dacl.aces().iter().filter(move |ace| ace.sid == *sid && !matches!(ace.kind, ringfence_ntsec::AceKind::Opaque(_)))
}

/// A self-relative descriptor with this DACL and the control bits that go with it.
fn dacl_only(descriptor: &SecurityDescriptor, dacl: Acl) -> Result<Arc<[u8]>, Why> {
    let mut control = descriptor.control & (Control::DACL_PROTECTED | Control::DACL_AUTO_INHERITED);
    if control.contains(Control::DACL_AUTO_INHERITED) {
        // Without the request the kernel drops the bit (MS-DTYP §2.4.6).
        control |= Control::DACL_AUTO_INHERIT_REQUIRED;
    }
    let bare = SecurityDescriptor { control, dacl: AclState::Present(dacl), ..SecurityDescriptor::default() };
    bare.to_bytes().map(Into::into).map_err(|_| Why::DaclFull)
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "S-1-5-21-1-2-3-3735000001";

    fn ace(text: &str) -> Ace {
        text.replace("US", US).parse().unwrap()
    }

    fn descriptor(text: &str) -> SecurityDescriptor {
        text.replace("US", US).parse().unwrap()
    }

    fn us() -> Sid {
        US.parse().unwrap()
    }

    fn root() -> Below {
        let own = [ace("(A;OICI;0x1301bf;;;US)"), ace("(D;;DC;;;US)")];
        Below::of(&Entries::wanted(&own, &Below::default(), ChildKind::Container, false))
    }

    /// The DACL after the edit, and that taking our entries out gives back the one before.
    fn edited(before: &str, own: &[Ace], from: &Below, kind: ChildKind) -> String {
        let before = descriptor(before);
        let is_protected = before.control.contains(Control::DACL_PROTECTED);
        let wanted = Entries::wanted(own, from, kind, is_protected);
        let Some(change) = Change::to(&before, &us(), &wanted).unwrap() else {
            return "as it is".to_owned();
        };
        let after = SecurityDescriptor::from_bytes(&change.after).unwrap();
        assert_eq!(Change::to(&after, &us(), &wanted).unwrap(), None, "an edit is done once");
        let undone = Change::to(&after, &us(), &Entries::default()).unwrap().unwrap();
        assert_eq!(undone.after, change.before);
        if !before.sids().any(|sid| *sid == us()) {
            assert_eq!(Some(change.before), current(&before));
        }
        after.to_sddl().unwrap().replace(US, "US").replace("DCLCRPDTCRSDWDWO", "0xd0156")
    }

    #[test]
    fn objects_get_what_windows_would_hand_down() {
        let below = root();
        let plain = "D:AI(A;;FA;;;SY)(A;ID;FA;;;BA)";
        let directory = "D:AI(A;;FA;;;SY)(A;OICIID;FA;;;BA)";
        assert_eq!(edited(plain, &[], &below, ChildKind::Leaf), "D:ARAI(A;;FA;;;SY)(A;ID;0x1301bf;;;US)(A;ID;FA;;;BA)");
        assert_eq!(
            edited(directory, &[], &below, ChildKind::Container),
            "D:ARAI(A;;FA;;;SY)(A;OICIID;0x1301bf;;;US)(A;OICIID;FA;;;BA)"
        );
        // The entry that holds the root's own children is not handed down.
        assert_eq!(below.container.len(), 1);
        assert_eq!(edited("D:(A;ID;0x1301bf;;;US)", &[], &below, ChildKind::Leaf), "as it is");
    }

    #[test]
    fn a_protected_list_gets_entries_of_its_own() {
        assert_eq!(
            edited("D:P(D;;FW;;;BG)(A;OICI;FA;;;SY)", &[], &root(), ChildKind::Container),
            "D:P(D;;FW;;;BG)(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;US)"
        );
    }

    #[test]
    fn denials_precede_grants_there_and_below() {
        let deny = [ace("(D;OICI;0xd0156;;;US)")];
        let text = edited("D:AI(A;;FA;;;SY)(A;OICIID;FA;;;BA)", &deny, &root(), ChildKind::Container);
        assert_eq!(text, "D:ARAI(D;OICI;0xd0156;;;US)(A;;FA;;;SY)(A;OICIID;0x1301bf;;;US)(A;OICIID;FA;;;BA)");
        let below = Below::of(&Entries::wanted(&deny, &root(), ChildKind::Container, false));
        assert_eq!(
            edited("D:(A;ID;FA;;;BA)", &[], &below, ChildKind::Leaf),
            "D:(D;ID;0xd0156;;;US)(A;ID;0x1301bf;;;US)(A;ID;FA;;;BA)"
        );
        assert_eq!(
            edited("D:P(A;;FA;;;BA)", &[], &below, ChildKind::Leaf),
            "D:P(D;;0xd0156;;;US)(A;;FA;;;BA)(A;;0x1301bf;;;US)"
        );
    }

    #[test]
    fn what_an_earlier_plan_left_is_replaced() {
        assert_eq!(
            edited("D:(D;OICI;0xd0156;;;US)(A;;FA;;;SY)(A;ID;FA;;;BA)", &[], &root(), ChildKind::Leaf),
            "D:(A;;FA;;;SY)(A;ID;0x1301bf;;;US)(A;ID;FA;;;BA)"
        );
        let two = [ace("(D;OICI;0xd0156;;;US)"), ace("(D;;DC;;;US)")];
        let text = edited("D:(D;;FW;;;BG)(A;OICI;FA;;;SY)", &two, &Below::default(), ChildKind::Container);
        assert_eq!(text, "D:(D;;FW;;;BG)(D;OICI;0xd0156;;;US)(D;;DC;;;US)(A;OICI;FA;;;SY)");
    }

    #[test]
    fn where_nothing_else_is_inherited_we_are_not_either() {
        for (before, expected) in [
            ("D:(A;;FA;;;SY)", Err(Why::NothingInherited)),
            ("D:(A;OI;FA;;;SY)", Err(Why::NothingInherited)),
            ("D:(A;CI;FA;;;SY)", Err(Why::NothingInherited)),
            ("D:(A;OI;FA;;;SY)(A;CI;FA;;;SY)", Ok(())),
            ("D:(A;OICIIO;FA;;;CO)", Ok(())),
        ] {
            let wanted = Entries::wanted(&[], &root(), ChildKind::Container, false);
            assert_eq!(Change::to(&descriptor(before), &us(), &wanted).map(|_| ()), expected, "{before}");
            let leaf = Entries::wanted(&[], &root(), ChildKind::Leaf, false);
            assert!(Change::to(&descriptor(before), &us(), &leaf).is_ok(), "files hand nothing down");
        }
    }

    #[test]
    fn without_a_dacl_or_without_room_nothing_is_edited() {
        let wanted = Entries::wanted(&[], &root(), ChildKind::Leaf, false);
        assert_eq!(Change::to(&descriptor("O:SY"), &us(), &wanted), Err(Why::NoDacl));
        assert_eq!(Change::to(&descriptor("O:SYD:NO_ACCESS_CONTROL"), &us(), &wanted), Err(Why::NoDacl));
        let mut full = descriptor("D:(A;;FA;;;SY)");
        let many = (0..2046).map(|rid| ace(&format!("(A;ID;FR;;;S-1-5-21-1-2-{rid})"))).collect::<Vec<_>>();
        full.dacl.acl_mut().insert_inherited(&many).unwrap();
        assert_eq!(Change::to(&full, &us(), &wanted), Err(Why::DaclFull));
    }
}
