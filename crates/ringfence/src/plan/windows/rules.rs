//! How strongly each rule of the policy holds in the token tier, and what no rule names.

use ringfence_policy::{NetworkMode, Policy, Protect, ReadScope, RuleId};

use super::{Hole, SidRole, WindowsPlan, grants, token};
use crate::facts::windows::{Reading, SelfCheck, WindowsFacts, WindowsPlace};
use crate::plan::rows::{Rows, hidden, list, protected};
use crate::plan::{Holds, Limits, PlannedRule};

/// One row per rule that the policy states.
pub(super) fn judge(
    policy: &Policy,
    facts: &WindowsFacts,
    plan: &WindowsPlan,
    roots: &[&WindowsPlace],
    limits: &Limits,
) -> Vec<PlannedRule> {
    let mut rows = Rows::new(policy);
    filesystem(&mut rows, policy, facts, plan, roots);
    network(&mut rows, policy);
    process(&mut rows, policy, plan, limits);
    rows.environment("CreateProcess");
    rows.finish()
}

fn filesystem(rows: &mut Rows<'_>, policy: &Policy, facts: &WindowsFacts, plan: &WindowsPlan, roots: &[&WindowsPlace]) {
    let roots: Vec<_> = roots.iter().map(|root| root.path.to_path_buf()).collect();
    let asked = match roots.is_empty() {
        true => "nothing is written".to_owned(),
        false => format!("writes only in {}", list(roots.iter().map(|path| path.as_path()))),
    };
    let origin = policy.filesystem.write.first().map(|rule| rule.origin.clone());
    rows.add(RuleId::FilesystemWrite, asked, writes(facts, plan), origin.clone());
    let asked = "owners, permissions, timestamps and attributes change only there".to_owned();
    rows.add(RuleId::FilesystemMetadata, asked, writes(facts, plan), origin);
    if let Some(first) = policy.filesystem.protect.first() {
        let asked = format!("read-only inside the write roots: {}", protected(policy));
        let holds = enforced(facts).unwrap_or_else(|| {
            Holds::kernel(match facts.host.reading() {
                Some(Reading::Wide) => "denying ACEs",
                _ => "denying ACEs, open handles; an entry of a protected directory can be deleted, see below",
            })
        });
        rows.add(RuleId::FilesystemProtect, asked, holds, Some(first.origin.clone()));
    }
    let unread =
        || Holds::none("a write-restricted token restricts writing alone: whatever you can read, the command can read");
    if let ReadScope::Roots(roots) = &policy.filesystem.read {
        let asked = format!("reads only the system and {}", list(roots.iter().map(|rule| rule.value.as_path())));
        rows.add(RuleId::FilesystemRead, asked, unread(), roots.first().map(|rule| rule.origin.clone()));
    }
    if let Some(first) = policy.filesystem.hide.first() {
        let asked = format!("unreadable: {}", hidden(policy));
        rows.add(RuleId::FilesystemHide, asked, unread(), Some(first.origin.clone()));
    }
}

/// Why restricting SIDs do not hold on this system; `None` where they do.
fn enforced(facts: &WindowsFacts) -> Option<Holds> {
    match &facts.host.self_check {
        SelfCheck::Failed { step, why } => {
            Some(Holds::none(format!("this system does not enforce a write-restricted token: {step}: {why}")))
        }
        SelfCheck::NotMade => Some(Holds::advisory(
            "whether this system enforces a write-restricted token was not tried in this boot; `ringfence doctor` does",
        )),
        SelfCheck::Passed { reading: Reading::Narrow, .. } => Some(Holds::none(
            "this system was measured to let a write-restricted token delete, and change the permissions of, whatever you may",
        )),
        SelfCheck::Passed { reading: Reading::Reported | Reading::Wide, .. } => None,
    }
}

fn writes(facts: &WindowsFacts, plan: &WindowsPlan) -> Holds {
    if let Some(weaker) = enforced(facts) {
        return weaker;
    }
    if plan.token.restricting.iter().any(|restricting| restricting.role == SidRole::Everyone) {
        let audit = &facts.host.everyone_writable;
        let places = outside(plan, facts);
        if !places.is_empty() {
            let paths: Vec<_> = places.iter().map(|path| path.to_path_buf()).collect();
            let list = list(paths.iter().map(|path| path.as_path()));
            return Holds::none(format!("Everyone is a restricting SID, and may write {list}"));
        }
        if !audit.complete {
            return Holds::advisory(
                "Everyone is a restricting SID, and the search for what Everyone may write did not reach its end",
            );
        }
    }
    Holds::kernel(match facts.host.reading() {
        Some(Reading::Wide) => "write-restricted token",
        _ => "write-restricted token; deleting through a directory is not covered, see below",
    })
}

/// Places outside of the write roots that Everyone may write.
fn outside<'a>(plan: &WindowsPlan, facts: &'a WindowsFacts) -> Vec<&'a crate::windows::path::WindowsPath> {
    let inside =
        |path: &_| plan.grants.iter().any(|grant| crate::windows::path::WindowsPath::is_in(path, &grant.root.path));
    facts.host.everyone_writable.places.iter().map(|place| &place.path).filter(|path| !inside(path)).collect()
}

fn network(rows: &mut Rows<'_>, policy: &Policy) {
    let mode = &policy.network.mode;
    match mode.value {
        NetworkMode::Off | NetworkMode::Allowlist => {
            let (asked, why) = match mode.value {
                NetworkMode::Allowlist => (
                    "only allowed hosts can be reached",
                    "programs that follow proxy settings reach the allowed hosts alone; others connect as you may",
                ),
                _ => (
                    "no host can be reached",
                    "programs that follow proxy settings reach nothing; others connect as you may",
                ),
            };
            rows.add(RuleId::Network, asked.to_owned(), Holds::advisory(why), Some(mode.origin.clone()));
        }
        // Nothing is asked, so nothing holds: a note says so.
        NetworkMode::Open => {}
    }
    if let Some(first) = policy.network.unix_sockets.first() {
        let sockets = list(policy.network.unix_sockets.iter().map(|rule| rule.value.as_path()));
        let why = "Windows has no rule by which one socket could be opened; those that you may write stay closed";
        rows.add(
            RuleId::UnixSockets,
            format!("Unix sockets of the host: only {sockets}"),
            Holds::none(why),
            Some(first.origin.clone()),
        );
    }
}

fn process(rows: &mut Rows<'_>, policy: &Policy, plan: &WindowsPlan, limits: &Limits) {
    let kernel = |mechanism: &str| Holds::kernel(mechanism);
    let asked = "no process outlives the run".to_owned();
    rows.add(RuleId::ProcessTree, asked, kernel("job object without breakaway, ended when it is closed"), None);
    let process = &policy.process;
    if let Some(rule) = &process.timeout {
        let asked = format!("ends after {}", rule.value);
        rows.add(RuleId::Timeout, asked, kernel("TerminateJobObject"), Some(rule.origin.clone()));
    }
    if let Some(rule) = &process.memory {
        let asked = format!("at most {}", rule.value);
        rows.add(RuleId::Memory, asked, kernel("job limit on committed memory"), Some(rule.origin.clone()));
    }
    if let Some(rule) = &process.processes {
        let asked = format!("at most {}", rule.value);
        let holds = kernel("job limit on processes; their threads are not counted");
        rows.add(RuleId::Processes, asked, holds, Some(rule.origin.clone()));
    }
    if let (Some(rule), Some(_)) = (&process.cpus, limits.cpus_milli) {
        let holds = kernel(match plan.job.cpu_rate {
            Some(_) => "job limit on the processor rate",
            None => "there are no more processors",
        });
        rows.add(RuleId::Cpus, format!("at most {}", rule.value), holds, Some(rule.origin.clone()));
    }
}

/// What the token tier leaves open under these facts.
pub(super) fn holes(policy: &Policy, facts: &WindowsFacts, plan: &WindowsPlan, roots: &[&WindowsPlace]) -> Vec<Hole> {
    let mut holes = Vec::new();
    match &facts.host.self_check {
        SelfCheck::NotMade => holes.push(Hole::Unmeasured),
        SelfCheck::Passed { reading: Reading::Narrow, .. } => holes.push(Hole::DeleteAndOwn),
        SelfCheck::Passed { reading: Reading::Reported, .. } => holes.push(Hole::DeleteChild),
        SelfCheck::Passed { reading: Reading::Wide, .. } | SelfCheck::Failed { .. } => {}
    }
    if plan.token.restricting.iter().any(|restricting| restricting.role == SidRole::Everyone) {
        holes.push(Hole::EveryoneWritable {
            places: outside(plan, facts).into_iter().cloned().collect(),
            complete: facts.host.everyone_writable.complete,
        });
    }
    holes.extend([Hole::SameUserBrokers, Hole::ProcessMemory, Hole::Reads, Hole::NullDacl, Hole::LogonSession]);
    if policy.network.mode.value == NetworkMode::Open {
        holes.push(Hole::Network);
    }
    if !token::own_window_station(facts) {
        holes.push(Hole::SharedWindowStation);
    }
    let survey = &facts.survey;
    let places = survey.protect.iter().chain(&survey.between);
    let kept =
        |place: &&WindowsPlace| !grants::grantable(place) && roots.iter().any(|root| place.path.is_in(&root.path));
    let paths: Vec<_> = places.filter(kept).map(|place| place.path.clone()).collect();
    if !paths.is_empty() {
        holes.push(Hole::NotGrantable { paths });
    }
    holes
}

/// The holes, and what else no rule names, each in a sentence.
pub(super) fn notes(policy: &Policy, facts: &WindowsFacts, plan: &WindowsPlan) -> Vec<String> {
    let mut notes: Vec<String> = plan.holes.iter().map(sentence).collect();
    if !plan.watch.is_empty() {
        notes.push(format!(
            "protected names that do not exist cannot be held; what appears there is moved away after the run: {}",
            list(plan.watch.iter().map(|watch| watch.path.as_path()))
        ));
    }
    if policy.filesystem.protect.iter().any(|rule| rule.value == Protect::Git) && !plan.grants.is_empty() {
        notes.push("repositories deeper in a write root, other than its submodules, are not protected".into());
    }
    if facts.survey.program.posix_runtime || !facts.host.posix_runtimes.is_empty() {
        notes.push(
            "programs of MSYS and Cygwin (Git's bash and its tools) make pipes that name no restricting SID, and mostly fail at \
             their start; cmd.exe, PowerShell and native programs do not"
                .into(),
        );
    }
    notes
}

fn sentence(hole: &Hole) -> String {
    match hole {
        Hole::Reads => "what you can read, the command can read, keys and browser profiles too; together with a network \
                        that is open it can send it away"
            .into(),
        Hole::Network => "the network is open: every host can be reached".into(),
        Hole::SameUserBrokers => "services that act for you can be asked to act: Task Scheduler, WMI, COM servers. Against a \
                                  command that means harm this tier is a guard rail, not a boundary"
            .into(),
        Hole::ProcessMemory => "your other processes can be read and ended, those of other runs too: the rights for it count \
                                as reading and executing"
            .into(),
        Hole::DeleteChild => "an entry of a directory on which you have full control, which is nearly every one of your \
                              profile, can be deleted, or moved into a write root or the run's TEMP on the same volume: the \
                              right for it, FILE_DELETE_CHILD, was measured not to be covered. It can be neither created \
                              nor changed. Protected directories are among them: they stay, and what lies in them can be \
                              deleted, but not replaced"
            .into(),
        Hole::DeleteAndOwn => "whatever you may delete or change the permissions of, the command may: DELETE and WRITE_DAC \
                               were measured not to be covered"
            .into(),
        Hole::Unmeasured => "which rights a write-restricted token covers was not measured in this boot".into(),
        Hole::EveryoneWritable { places, complete } => {
            let paths: Vec<_> = places.iter().map(|path| path.to_path_buf()).collect();
            let found = match paths.is_empty() {
                true => "nothing was found that Everyone may write".to_owned(),
                false => format!("Everyone may write {}", list(paths.iter().map(|path| path.as_path()))),
            };
            let bound = if *complete { "" } else { "; the search did not reach its end" };
            format!("Everyone is a restricting SID, so that what Everyone may write is open: {found}{bound}")
        }
        Hole::LogonSession => "what your logon session's SID may write is open, since it lets the command onto its desktop: \
                               windows of your session, and named objects and pipes that name that SID"
            .into(),
        Hole::SharedWindowStation => "the window station is your own: its clipboard and its atoms are kept apart by the job's \
                                      limits alone"
            .into(),
        Hole::NullDacl => "what has no access control list, or lies on a volume that keeps none, can be written by anybody, \
                           the command too"
            .into(),
        Hole::NotGrantable { paths } => {
            let paths: Vec<_> = paths.iter().map(|path| path.to_path_buf()).collect();
            let list = list(paths.iter().map(|path| path.as_path()));
            format!("you may not change the permissions of {list}: what lies there cannot be written inside")
        }
    }
}
