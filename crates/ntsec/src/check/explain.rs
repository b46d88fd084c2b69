//! Which rule granted or refused which right.

use core::fmt;

use super::{Decision, Pass, Refusal};
use crate::{AccessMask, IntegrityLevel, ObjectType, Privilege, SecurityDescriptor, ace_to_sddl};

/// A rule that played a part in a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "`pass` and `index` mean the same in every variant: the round, and the place in the DACL"
)]
pub enum Event {
    /// The object's label is above the subject's level and leaves only `allowed`.
    MandatoryLabel { object: IntegrityLevel, subject: IntegrityLevel, allowed: AccessMask },
    /// A privilege granted a right past every pass.
    Privilege { privilege: Privilege, granted: AccessMask },
    /// There is no DACL: everything is granted.
    NullDacl,
    /// The caller owns the object.
    OwnerImplied { granted: AccessMask },
    /// An ACE granted rights that no earlier one had decided.
    Granted { pass: Pass, index: usize, granted: AccessMask },
    /// An ACE denied rights that no earlier one had decided.
    Denied { pass: Pass, index: usize, denied: AccessMask },
    /// A conditional ACE was passed over: its condition is not evaluated here.
    ConditionAssumedUnmet { pass: Pass, index: usize, concerned: AccessMask },
    /// The end of the DACL was reached with rights that nobody had granted.
    NotGranted { pass: Pass, missing: AccessMask },
}

/// Is told about every rule that plays a part. Generic, so that a check without an observer pays nothing.
pub trait Observer {
    /// Takes note of a rule.
    fn observe(&mut self, event: Event);
}

/// Takes note of nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn observe(&mut self, _: Event) {}
}

impl Observer for Vec<Event> {
    fn observe(&mut self, event: Event) {
        self.push(event);
    }
}

/// A decision with its reasons. Printed, it is one line per rule.
#[derive(Debug, Clone)]
pub struct Explanation<'a> {
    pub(super) descriptor: &'a SecurityDescriptor,
    pub(super) object_type: ObjectType,
    /// What was asked for, with generic rights mapped.
    pub desired: AccessMask,
    /// The answer.
    pub decision: Decision,
    /// The rules, in the order in which they applied.
    pub events: Vec<Event>,
}

impl Explanation<'_> {
    /// The rules that spoke about the single right `bit`.
    pub fn about(&self, bit: AccessMask) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| {
            let spoken = match event {
                Event::MandatoryLabel { allowed, .. } => !*allowed,
                Event::NullDacl => AccessMask::ALL_BITS,
                Event::Privilege { granted, .. } | Event::OwnerImplied { granted } | Event::Granted { granted, .. } => {
                    *granted
                }
                Event::Denied { denied, .. } => *denied,
                Event::ConditionAssumedUnmet { concerned, .. } => *concerned,
                Event::NotGranted { missing, .. } => *missing,
            };
            spoken.intersects(bit)
        })
    }

    fn ace(&self, index: usize) -> String {
        let Some(ace) = self.descriptor.dacl.aces().get(index) else {
            return String::new();
        };
        let text = ace_to_sddl(ace).unwrap_or_else(|_| format!("type {:#04x} for {}", ace.kind.byte(), ace.sid));
        let origin = if ace.is_inherited() { "inherited" } else { "explicit" };
        format!("ACE {index} {text} ({origin})")
    }

    fn line(&self, event: &Event) -> String {
        let rights = |mask: AccessMask| self.object_type.describe(mask);
        match *event {
            Event::MandatoryLabel { object, subject, allowed } => format!(
                "mandatory label: the object is at {}, the caller at {}; only {} is left",
                object.sid(),
                subject.sid(),
                rights(allowed)
            ),
            Event::Privilege { privilege, granted } => {
                format!("{} grants {}", privilege.name(), rights(granted))
            }
            Event::NullDacl => "there is no DACL: everything is granted to everybody".to_owned(),
            Event::OwnerImplied { granted } => {
                format!("the caller owns the object: {}", rights(granted))
            }
            Event::Granted { pass, index, granted } => {
                format!("{}: {} grants {}", pass.name(), self.ace(index), rights(granted))
            }
            Event::Denied { pass, index, denied } => {
                format!("{}: {} denies {}", pass.name(), self.ace(index), rights(denied))
            }
            Event::ConditionAssumedUnmet { pass, index, concerned } => format!(
                "{}: {} could decide {}, but its condition is not evaluated here and taken as unmet",
                pass.name(),
                self.ace(index),
                rights(concerned)
            ),
            Event::NotGranted { pass, missing } => {
                format!("{}: no ACE grants {}", pass.name(), rights(missing))
            }
        }
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights = |mask: AccessMask| self.object_type.describe(mask);
        match self.decision.refusal {
            None => writeln!(f, "granted: {}", rights(self.decision.granted))?,
            Some(refusal) => {
                write!(f, "refused: {}: ", rights(self.desired))?;
                match refusal {
                    Refusal::Nothing => writeln!(f, "nothing was asked for, or nothing is to be had")?,
                    Refusal::MandatoryLabel { object, missing } => {
                        writeln!(f, "the mandatory label {} forbids {}", object.sid(), rights(missing))?;
                    }
                    Refusal::PrivilegeNotHeld => writeln!(f, "SeSecurityPrivilege is not held")?,
                    Refusal::Denied { pass, index, denied } => {
                        writeln!(f, "{} denies {} to the {}", self.ace(index), rights(denied), pass.name())?;
                    }
                    Refusal::NotGranted { pass, missing } => {
                        writeln!(f, "nothing grants {} to the {}", rights(missing), pass.name())?;
                    }
                    Refusal::NullDaclForLowbox => {
                        writeln!(f, "there is no DACL, which grants nothing to an AppContainer")?;
                    }
                }
            }
        }
        self.events.iter().try_for_each(|event| writeln!(f, "  {}", self.line(event)))
    }
}
