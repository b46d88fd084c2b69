//! The token of the command, and what it needs to be let onto its own desktop.

use ringfence_ntsec::{
    AccessMask, Ace, AceFlags, Acl, IntegrityLevel, Privilege, PrivilegeAttributes, RestrictFlags, Restriction,
    SecurityDescriptor, Sid, Token, well_known,
};
use ringfence_policy::{Everyone, Policy};

use super::{DesktopPlan, RestrictingSid, SidRole, TokenFlag, TokenPlan};
use crate::Error;
use crate::facts::windows::{RunIdentity, SelfCheck, ShellState, WindowsFacts};

/// Why no token for a command can be made of the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallerProblem {
    /// It has restricting SIDs already: a second list only takes away from the first, so nothing could be granted.
    #[error("it is restricted already, as inside another sandbox; start ringfence outside of it")]
    Restricted,
    /// It belongs to an AppContainer, whose packages no descriptor of a project names.
    #[error("it belongs to an AppContainer, as programs of the Store do; start ringfence from an ordinary program")]
    AppContainer,
    /// It has no logon session's SID, and without one nothing is let onto the caller's window station.
    #[error("it belongs to no logon session and may not make a window station; start ringfence in a user's session")]
    NoLogonSession,
}

impl CallerProblem {
    /// The stable name of the problem.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Restricted => "caller-restricted",
            Self::AppContainer => "caller-app-container",
            Self::NoLogonSession => "caller-no-logon-session",
        }
    }
}

/// The token of a run. `writes` says whether there are write roots.
pub(super) fn plan(policy: &Policy, facts: &WindowsFacts, writes: bool) -> Result<TokenPlan, Error> {
    let caller = &facts.caller.token;
    let refuse = |problem| Err(Error::Caller { problem });
    if caller.lowbox().is_some() {
        return refuse(CallerProblem::AppContainer);
    }
    if caller.restricting().is_some() {
        return refuse(CallerProblem::Restricted);
    }
    if caller.logon_sid().is_none() && !own_window_station(facts) {
        return refuse(CallerProblem::NoLogonSession);
    }
    Ok(restricted(caller, &facts.identity, writes, needs_everyone(policy, facts)?))
}

/// The token for the SIDs of a run.
pub(super) fn restricted(caller: &Token, identity: &RunIdentity, writes: bool, everyone: bool) -> TokenPlan {
    let mut restricting = Vec::with_capacity(4);
    let mut add = |sid, role| restricting.push(RestrictingSid { sid, role });
    if writes {
        add(identity.workspace, SidRole::Workspace);
    }
    add(identity.run, SidRole::Run);
    if let Some(logon) = caller.logon_sid() {
        add(*logon, SidRole::Logon);
    }
    if everyone {
        add(well_known::EVERYONE, SidRole::Everyone);
    }
    TokenPlan {
        flags: vec![TokenFlag::DisableMaxPrivilege, TokenFlag::LuaToken, TokenFlag::WriteRestricted],
        restricting,
        privileges: vec![Privilege::ChangeNotify.name().to_owned()],
        default_dacl: default_dacl(caller.user(), &identity.run),
        integrity: caller.integrity().min(IntegrityLevel::MEDIUM).0,
    }
}

/// Pipes, processes, events that are made without a descriptor of their own. The user passes the first check, the run's SID
/// the second. The logon session's SID is not in it, since all processes of the logon share it, and Everyone is not. The
/// entry for the owner takes from it the implied right to rewrite the list.
fn default_dacl(user: &Sid, run: &Sid) -> Vec<Ace> {
    let allow = |sid, mask| Ace::allow(sid, mask, AceFlags::empty());
    vec![
        allow(*user, AccessMask::GENERIC_ALL),
        allow(*run, AccessMask::GENERIC_ALL),
        allow(well_known::LOCAL_SYSTEM, AccessMask::GENERIC_ALL),
        allow(well_known::OWNER_RIGHTS, AccessMask::READ_CONTROL),
    ]
}

/// Whether Everyone is a restricting SID: never by default, since Everyone is a key to every object that names it.
fn needs_everyone(policy: &Policy, facts: &WindowsFacts) -> Result<bool, Error> {
    let program = &facts.survey.program;
    let measured = |state: &ShellState| {
        let same = |shell: &&crate::facts::windows::Shell| shell.path == program.path && shell.state == *state;
        facts.host.shells.iter().any(|shell| same(&shell))
    };
    let needed = measured(&ShellState::NeedsEveryone);
    match policy.windows.everyone.value {
        Everyone::Always => Ok(true),
        Everyone::Auto => Ok(needed),
        Everyone::Never if needed => Err(Error::CommandNotExecutable {
            path: program.path.to_path_buf(),
            reason: "it was measured not to start unless Everyone is a restricting SID, and the policy says \
                     `windows.everyone = \"never\"`; use another shell, or \"auto\""
                .into(),
        }),
        Everyone::Never => Ok(false),
    }
}

/// Whether the self-check saw that the caller may have a window station of its own.
pub(super) fn own_window_station(facts: &WindowsFacts) -> bool {
    matches!(facts.host.self_check, SelfCheck::Passed { window_station: true, .. })
}

/// The desktop of a run.
pub(super) fn desktop(facts: &WindowsFacts) -> DesktopPlan {
    desktop_for(&facts.caller.token, &facts.identity, own_window_station(facts))
}

/// A desktop: the user's for the first check, the run's alone for the second.
///
/// The window station is for the second check the logon session's. The system names it after that session and hands the same
/// one to all runs of the session that are there at once, so that one that admitted the first of them alone would keep the
/// others from starting.
pub(super) fn desktop_for(caller: &Token, identity: &RunIdentity, own_station: bool) -> DesktopPlan {
    let (user, run) = (*caller.user(), identity.run);
    let session = caller.logon_sid().copied().unwrap_or(run);
    let descriptor = |second: Sid, all: u32, used: u32| {
        let allow = |sid, mask| Ace::allow(sid, AccessMask(mask), AceFlags::empty());
        let dacl = Acl::from_aces(vec![allow(user, all), allow(second, used), allow(well_known::LOCAL_SYSTEM, all)]);
        protected(user, dacl)
    };
    DesktopPlan {
        window_station: own_station.then(|| descriptor(session, WINDOW_STATION_ALL, WINDOW_STATION_USED)),
        name: format!("ringfence-{}", &identity.id.get(..16).unwrap_or(&identity.id)),
        descriptor: descriptor(run, DESKTOP_ALL, DESKTOP_USED),
    }
}

/// WINSTA_ALL_ACCESS and the standard rights
/// (<https://learn.microsoft.com/windows/win32/winstation/window-station-security-and-access-rights>).
const WINDOW_STATION_ALL: u32 = 0x000F_037F;
/// The same without DELETE, WRITE_DAC and WRITE_OWNER.
const WINDOW_STATION_USED: u32 = 0x0002_037F;
/// All rights of a desktop
/// (<https://learn.microsoft.com/windows/win32/winstation/desktop-security-and-access-rights>).
const DESKTOP_ALL: u32 = 0x000F_01FF;
/// The same without DELETE, WRITE_DAC, WRITE_OWNER, and without journaling input and switching the screen to it.
const DESKTOP_USED: u32 = 0x0002_00CF;

/// A descriptor of ringfence's own, owned by the user, that takes nothing from the object above.
pub(super) fn protected(user: Sid, dacl: Acl) -> SecurityDescriptor {
    let mut descriptor = SecurityDescriptor::new(user, user, dacl);
    descriptor.control = ringfence_ntsec::Control::DACL_PROTECTED;
    descriptor
}

impl TokenPlan {
    /// The arguments of `CreateRestrictedToken`.
    pub fn restriction(&self) -> Restriction {
        let flag = |flag: &TokenFlag| match flag {
            TokenFlag::DisableMaxPrivilege => RestrictFlags::DISABLE_MAX_PRIVILEGE,
            TokenFlag::LuaToken => RestrictFlags::LUA_TOKEN,
            TokenFlag::WriteRestricted => RestrictFlags::WRITE_RESTRICTED,
        };
        Restriction {
            flags: self.flags.iter().map(flag).collect(),
            restricting: self.restricting.iter().map(|restricting| restricting.sid).collect(),
            ..Restriction::default()
        }
    }

    /// The token that the plan makes of the caller's.
    pub fn finished(&self, caller: &Token) -> Token {
        let mut parts = caller
            .restrict(&self.restriction())
            .to_builder()
            .default_dacl(Acl::from_aces(self.default_dacl.clone()))
            .integrity(IntegrityLevel(self.integrity));
        for privilege in self.privileges.iter().filter_map(|name| Privilege::from_name(name)) {
            parts = parts.privilege_with(privilege, PrivilegeAttributes::all());
        }
        parts.build()
    }

    /// What a finished token, read back from the system, has otherwise than planned; nothing may run unless this is empty.
    ///
    /// The user and the groups are the caller's own business, but for one thing: no group that the plan does not name may
    /// be a restricting SID.
    pub fn differences(&self, read_back: &Token) -> Vec<String> {
        let mut found = Vec::new();
        let mut expected: Vec<Sid> = self.restricting.iter().map(|restricting| restricting.sid).collect();
        expected.sort();
        match read_back.restricting() {
            None => found.push("it has no restricting SIDs".to_owned()),
            Some(restricting) => {
                let mut actual = restricting.sids.clone();
                actual.sort();
                if actual != expected {
                    let texts: Vec<String> = actual.iter().map(ToString::to_string).collect();
                    found.push(format!("its restricting SIDs are {}", texts.join(", ")));
                }
                if restricting.write_only != self.flags.contains(&TokenFlag::WriteRestricted) {
                    found.push("its restricting SIDs are asked for reads too".to_owned());
                }
            }
        }
        let privileges = read_back.privileges().iter().map(|(privilege, _)| privilege.name());
        let extra: Vec<&str> = privileges.filter(|name| !self.privileges.iter().any(|kept| kept == name)).collect();
        if !extra.is_empty() {
            found.push(format!("it holds {}", extra.join(", ")));
        }
        if read_back.integrity() > IntegrityLevel(self.integrity) {
            found.push(format!("its integrity level is {:#x}", read_back.integrity().0));
        }
        if read_back.default_dacl().map(Acl::aces) != Some(&self.default_dacl) {
            found.push("its default DACL is another one".to_owned());
        }
        if read_back.lowbox().is_some() {
            found.push("it belongs to an AppContainer".to_owned());
        }
        found
    }
}
