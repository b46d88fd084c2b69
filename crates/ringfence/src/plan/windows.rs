//! The plan of a run on Windows: a pure function from policy and facts to data.

use ringfence_ntsec::{Ace, SecurityDescriptor, Sid};
use ringfence_policy::{Policy, RuleId};
use serde::{Deserialize, Serialize};

use super::{EgressPlan, Limits, Plan, SystemPlan};
use crate::facts::windows::{ObjectId, WindowsFacts};
use crate::invocation::MechanismChoice;
use crate::survey::Watch;
use crate::windows::path::WindowsPath;
use crate::windows::wide::Wide;
use crate::{Error, Invocation};

mod grants;
mod process;
mod roots;
mod rules;
mod token;

pub(crate) use grants::CHANGES;
pub use roots::RootProblem;
pub use token::CallerProblem;

/// What the kernel will be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsPlan {
    /// The execution's id: that of its receipt.
    pub id: String,
    /// Which tier carries the plan.
    pub tier: Tier,
    /// The token of the command.
    pub token: TokenPlan,
    /// What is changed on disk, once per workspace: one for each write root. On a warm run nothing of it is written again.
    pub grants: Vec<GrantPlan>,
    /// Objects that the supervisor keeps open until the end of the run, from before its start: for reading (FILE_READ_DATA), which
    /// is what makes it count, and shared for reading and writing but not for deleting. Nobody can delete or rename them, or
    /// rename what they lie in, as long as they are open
    /// (<https://learn.microsoft.com/windows/win32/fileio/creating-and-opening-files>, MS-FSA §2.1.5.1.2.2, §2.1.5.15.11). Where
    /// FILE_DELETE_CHILD is not covered, the user's own full control of a directory would else let the command delete a
    /// protected object in it and make it anew, whatever entries name the workspace's SID. Each private directory is kept
    /// open in the same way.
    pub held: Vec<GrantTarget>,
    /// Directories of ringfence's own that the command may write.
    pub private: Vec<PrivateDirectory>,
    /// The job that contains the process tree.
    pub job: JobPlan,
    /// The desktop that the command runs on.
    pub desktop: DesktopPlan,
    /// How the process is created.
    pub process: ProcessPlan,
    /// The proxy, where the policy lists hosts. Programs that follow proxy settings have no other way out.
    pub egress: Option<EgressPlan>,
    /// Protected names that no ACE can hold, since they do not exist or are links: compared after the run.
    pub watch: Vec<Watch>,
    /// What this plan does not confine although its rules read as if it did. [`Plan::notes`] says the same in sentences.
    pub holes: Vec<Hole>,
}

/// The two ways to confine a process on Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The user's own identity in a write-restricted token; needs no setup.
    Token,
}

/// What `CreateRestrictedToken` is asked for, and what is set on the result. The finished token is read back and must say
/// the same before anything runs in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPlan {
    /// Flags of the call.
    pub flags: Vec<TokenFlag>,
    /// The restricting SIDs: a constant number, whatever the number of roots, so that the token never outgrows the space
    /// that the kernel gives it (ERROR_ALLOTTED_SPACE_EXCEEDED, 1344).
    pub restricting: Vec<RestrictingSid>,
    /// The privileges that stay, by their names; all others are removed.
    pub privileges: Vec<String>,
    /// The entries, in order, of the DACL for objects that are made without one.
    pub default_dacl: Vec<Ace>,
    /// The integrity level: the RID of the label, 0x2000 for Medium.
    pub integrity: u32,
}

/// Flags of `CreateRestrictedToken`
/// (<https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-createrestrictedtoken>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TokenFlag {
    /// Removes every privilege but SeChangeNotifyPrivilege.
    DisableMaxPrivilege,
    /// Takes the administrators' groups out of use.
    LuaToken,
    /// Asks the restricting SIDs for writes only.
    WriteRestricted,
}

/// A restricting SID and why it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictingSid {
    /// The SID.
    pub sid: Sid,
    /// What it opens.
    pub role: SidRole,
}

/// What a restricting SID opens for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SidRole {
    /// The write roots. Absent from the token of a plan without write roots.
    Workspace,
    /// What belongs to this run alone: its temporary directory, its pipes, its processes.
    Run,
    /// The window station and the desktop.
    Logon,
    /// Whatever on this machine Everyone may write; only where a shell was measured not to start without it.
    Everyone,
}

/// The edits of one write root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantPlan {
    /// The root.
    pub root: GrantTarget,
    /// The entry that opens it: explicit on the root, inherited by everything below where the root is a directory.
    pub allow: Ace,
    /// The entries that keep protected objects inside the root as they are: inherited by everything below them. Explicit
    /// denials precede the inherited grant.
    pub protect: Vec<AceEdit>,
    /// The entries that keep the root, and the directories between it and a protected object, from being renamed or deleted;
    /// none is inherited.
    pub hold: Vec<AceEdit>,
}

/// One entry on one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AceEdit {
    /// The object.
    pub target: GrantTarget,
    /// The entry, explicit on the object. Its flags say whether it is propagated to what lies below.
    pub ace: Ace,
}

/// An object whose descriptor is edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTarget {
    /// Where it was when the plan was made. It is opened component by component without following links.
    pub path: WindowsPath,
    /// Which object it must be.
    pub object: ObjectId,
    /// Whether it is a directory.
    pub directory: bool,
}

/// A directory of ringfence's own, made with its final descriptor, so that nothing has to be propagated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateDirectory {
    /// Where it is made, if it does not exist. A link in its place is refused.
    pub path: WindowsPath,
    /// What it is for.
    pub purpose: PrivatePurpose,
    /// Its descriptor: protected, so that it takes nothing from the directory above.
    pub descriptor: SecurityDescriptor,
}

/// What a private directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrivatePurpose {
    /// Holds the others, so that no run can reach those of another one.
    Holder,
    /// TEMP and TMP of one run; removed after it.
    Temporary,
    /// Caches of package managers; stays with the workspace.
    Cache,
}

/// The job object. No breakaway is ever allowed: neither JOB_OBJECT_LIMIT_BREAKAWAY_OK nor its silent form is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE: the tree ends with its supervisor.
    pub kill_on_close: bool,
    /// JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION: no error dialog waits on a desktop that nobody sees.
    pub die_on_unhandled_exception: bool,
    /// JOB_OBJECT_LIMIT_JOB_MEMORY: committed memory of all processes together, in bytes.
    pub memory_bytes: Option<u64>,
    /// JOB_OBJECT_LIMIT_ACTIVE_PROCESS: processes alive at once. Threads are not counted.
    pub active_processes: Option<u32>,
    /// JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP: processor time in hundredths of a percent of all processors, 1 to 10,000.
    pub cpu_rate: Option<u32>,
    /// JOB_OBJECT_BASIC_UI_RESTRICTIONS.
    pub ui: Vec<UiLimit>,
}

/// What processes of the job may not do to the user's desktop (`JOB_OBJECT_UILIMIT_…`,
/// <https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-jobobject_basic_ui_restrictions>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UiLimit {
    /// Create or switch desktops.
    Desktop,
    /// Change display settings.
    Displaysettings,
    /// Log off, shut down.
    Exitwindows,
    /// Use global atoms; the job has a table of its own.
    Globalatoms,
    /// Use handles (windows, hooks) of processes outside.
    Handles,
    /// Read the clipboard.
    Readclipboard,
    /// Change system parameters.
    Systemparameters,
    /// Write the clipboard.
    Writeclipboard,
}

/// Where the command's windows are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesktopPlan {
    /// The descriptor of a window station of the run's own: a clipboard and atoms that are not the user's. Absent where the
    /// caller was measured not to be allowed one; then the desktop stands in the caller's window station, and the job's
    /// limits alone keep the clipboard apart. The system chooses the station's name
    /// (<https://learn.microsoft.com/windows/win32/api/winuser/nf-winuser-createwindowstationw>: only administrators may).
    pub window_station: Option<SecurityDescriptor>,
    /// The name of the desktop.
    pub name: String,
    /// The descriptor of the desktop.
    pub descriptor: SecurityDescriptor,
}

/// How the process is created. Environment, directory and terminal are those of [`super::Command`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// `lpApplicationName`: absolute, so that nothing is searched for.
    pub application: WindowsPath,
    /// `lpCommandLine`, quoted so that the program reads back the same arguments.
    pub command_line: Wide,
    /// The handles that are inherited, and no others (PROC_THREAD_ATTRIBUTE_HANDLE_LIST); none of them for a terminal.
    pub handles: Vec<StandardHandle>,
    /// The console.
    pub console: ConsolePlan,
}

/// A standard handle of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StandardHandle {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// The console of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsolePlan {
    /// One without a window (CREATE_NO_WINDOW) in a process group of its own: Ctrl-C reaches the command by the supervisor.
    Hidden,
    /// A pseudoconsole (ConPTY) with UTF-8.
    Pseudo,
}

/// What the token tier does not confine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hole", rename_all = "kebab-case")]
pub enum Hole {
    /// Whatever the user can read, the command can read: the restricting SIDs are asked for writes only.
    Reads,
    /// Every host can be reached by a program that ignores the proxy's variables.
    Network,
    /// Brokers that act for the same user can be asked to act: Task Scheduler, COM servers, WMI.
    SameUserBrokers,
    /// Processes of the same user can be read, and ended, where their descriptors grant it to the user: the rights that do so
    /// count as reading and executing.
    ProcessMemory,
    /// FILE_DELETE_CHILD is not covered: an entry of a directory that gives the user full control can be deleted, or moved
    /// into a write root on the same volume, though neither created nor changed.
    DeleteChild,
    /// DELETE and WRITE_DAC are not covered: whatever the user may delete or re-own, the command may.
    DeleteAndOwn,
    /// Nobody measured in this boot which rights are covered.
    Unmeasured,
    /// Everyone is among the restricting SIDs, so these places can be written.
    EveryoneWritable {
        /// What the bounded search found.
        places: Vec<WindowsPath>,
        /// Whether the search reached its end.
        complete: bool,
    },
    /// Objects that the logon session's SID may write: it is shared by all processes of this logon.
    LogonSession,
    /// The window station is the user's own.
    SharedWindowStation,
    /// An object without DACL can be written by anybody.
    NullDacl,
    /// Objects inside the write roots that the user may not re-permit: they stay as they are, and cannot be written.
    NotGrantable {
        /// Which.
        paths: Vec<WindowsPath>,
    },
}

/// Makes the plan of a run on Windows.
pub(super) fn resolve(policy: &Policy, facts: &WindowsFacts, invocation: &Invocation) -> Result<Plan, Error> {
    check(invocation)?;
    let roots = roots::accepted(policy, facts)?;
    let writes = !roots.is_empty();
    let limits = Limits::of(policy);
    let private = grants::private(facts, writes)?;
    let egress = super::egress::plan(policy, false, invocation.ask)?;
    let command = process::command(policy, facts, invocation, &roots, &private, egress.as_ref())?;
    let mut windows = WindowsPlan {
        id: facts.identity.id.clone(),
        tier: Tier::Token,
        token: token::plan(policy, facts, writes)?,
        grants: grants::plan(facts, &roots),
        held: grants::held(facts, &roots),
        private,
        job: process::job(&limits, facts.host.processors),
        desktop: token::desktop(facts),
        process: process::plan(facts, invocation)?,
        egress,
        watch: facts.survey.watch.clone(),
        holes: Vec::new(),
    };
    windows.holes = rules::holes(policy, facts, &windows, &roots);
    Ok(Plan {
        version: Plan::VERSION,
        policy_hash: super::fingerprint("the policy", policy)?,
        command,
        rules: rules::judge(policy, facts, &windows, &roots, &limits),
        notes: rules::notes(policy, facts, &windows),
        require: policy.enforcement.require.value,
        limits,
        system: SystemPlan::Windows(Box::new(windows)),
    })
}

/// What holds a process of this caller, for the self-check, which tries it before there is a plan.
#[cfg(windows)]
pub(crate) fn containment(
    caller: &ringfence_ntsec::Token,
    identity: &crate::facts::windows::RunIdentity,
    everyone: bool,
) -> (TokenPlan, JobPlan, DesktopPlan) {
    let token = token::restricted(caller, identity, true, everyone);
    (token, process::job(&super::Limits::default(), 1), token::desktop_for(caller, identity, true))
}

/// The way on that a refusal names: the profile that asks for no more than what this tier holds, where that would help.
pub(super) fn alternative(rule: RuleId, further: &[RuleId]) -> Option<String> {
    let unconfined = |rule: &RuleId| {
        matches!(rule, RuleId::FilesystemRead | RuleId::FilesystemHide | RuleId::Network | RuleId::UnixSockets)
    };
    let also = match further {
        [] => String::new(),
        rules => {
            let flags: Vec<String> = rules.iter().map(|rule| format!("`--accept-degraded {rule}`")).collect();
            format!("together with {}", flags.join(" and "))
        }
    };
    let guard = "use `--profile guard`, which asks only for what this system holds without any setup";
    match (std::iter::once(&rule).chain(further).all(unconfined), also.is_empty()) {
        (true, true) => Some(format!("or {guard}")),
        (true, false) => Some(format!("{also}, or {guard}")),
        (false, true) => None,
        (false, false) => Some(also),
    }
}

/// What only Linux has.
fn check(invocation: &Invocation) -> Result<(), Error> {
    let unsupported = |what: &str, advice: &str| Err(Error::Unsupported { what: what.into(), advice: advice.into() });
    if invocation.argv.is_empty() {
        return Err(Error::CommandEmpty);
    }
    if !invocation.keep_descriptors.is_empty() {
        return unsupported("handing over descriptors on Windows", "pass data by a file or by standard input");
    }
    if invocation.mechanism != MechanismChoice::Auto {
        return unsupported("choosing a mechanism of Linux on Windows", "leave `--mechanism` out");
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
