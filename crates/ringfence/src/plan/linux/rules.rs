//! How strongly each rule of the policy holds under a plan, and what no rule names.

use ringfence_policy::{HostRule, NetworkMode, Policy, Ports, Protect, ReadScope, Rule, RuleId};

use super::landlock::{SCOPES, Scope};
use super::{LinuxPlan, Mechanism, sets};
use crate::facts::LinuxFacts;
use crate::plan::rows::{Rows, hidden, list, protected, some};
use crate::plan::{EgressPlan, Holds, Limits, PlannedRule, Serves};

/// One row per rule that the policy states.
pub(super) fn judge(policy: &Policy, facts: &LinuxFacts, plan: &LinuxPlan, limits: &Limits) -> Vec<PlannedRule> {
    let mut rows = Rows::new(policy);
    filesystem(&mut rows, policy, facts, plan);
    network(&mut rows, policy, facts, plan);
    process(&mut rows, policy, plan, limits, facts.host.uid);
    rows.environment("execve");
    rows.finish()
}

fn filesystem(rows: &mut Rows<'_>, policy: &Policy, facts: &LinuxFacts, plan: &LinuxPlan) {
    let namespaces = plan.mechanism == Mechanism::Namespaces;
    let survey = &facts.survey;
    let roots = survey.write.iter().map(|root| root.path.as_path());
    let asked = match survey.write.is_empty() {
        true => "nothing is written".to_owned(),
        false => format!("writes only in {}", list(roots)),
    };
    let origin = policy.filesystem.write.first().map(|rule| rule.origin.clone());
    let holds = match (namespaces, &plan.landlock) {
        (true, Some(_)) => Holds::kernel("read-only mounts, Landlock"),
        (true, None) => Holds::kernel("read-only mounts"),
        (false, _) => Holds::kernel("Landlock"),
    };
    rows.add(RuleId::FilesystemWrite, asked, holds, origin.clone());
    let holds = match namespaces {
        true => Holds::kernel("read-only mounts"),
        false => Holds::none(
            "Landlock does not govern chmod, chown, timestamps and extended attributes of the user's own files",
        ),
    };
    let asked = "modes, owners, timestamps and attributes change only there".to_owned();
    rows.add(RuleId::FilesystemMetadata, asked, holds, origin);
    if let Some(first) = policy.filesystem.protect.first() {
        let asked = format!("read-only inside the write roots: {}", protected(policy));
        let holds = match (namespaces, survey.protect.is_empty()) {
            (true, _) => Holds::kernel("read-only mounts"),
            (false, true) => Holds::advisory("nothing of it exists; what appears is moved away after the run"),
            (false, false) => Holds::none("a Landlock rule grants a whole hierarchy without exceptions"),
        };
        rows.add(RuleId::FilesystemProtect, asked, holds, Some(first.origin.clone()));
    }
    if let ReadScope::Roots(roots) = &policy.filesystem.read {
        let asked = format!("reads only the system and {}", list(roots.iter().map(|rule| rule.value.as_path())));
        let holds = Holds::kernel(if namespaces { "mount namespace with an empty root" } else { "Landlock" });
        rows.add(RuleId::FilesystemRead, asked, holds, roots.first().map(|rule| rule.origin.clone()));
    }
    if let Some(first) = policy.filesystem.hide.first() {
        let asked = format!("unreadable: {} ({} found)", hidden(policy), survey.hide.len());
        let holds = Holds::kernel(if namespaces { "covering mounts" } else { "Landlock" });
        rows.add(RuleId::FilesystemHide, asked, holds, Some(first.origin.clone()));
    }
}

fn network(rows: &mut Rows<'_>, policy: &Policy, facts: &LinuxFacts, plan: &LinuxPlan) {
    let namespaces = plan.mechanism == Mechanism::Namespaces;
    let mode = &policy.network.mode;
    let origin = Some(mode.origin.clone());
    match mode.value {
        NetworkMode::Off => {
            let holds = Holds::kernel(if namespaces { "network namespace" } else { "seccomp" });
            rows.add(RuleId::Network, "no host can be reached".into(), holds, origin);
        }
        NetworkMode::Allowlist => {
            let governed = plan.landlock.as_ref().is_some_and(|ruleset| ruleset.handles_tcp);
            let holds = match (namespaces, governed) {
                (true, _) => Holds::kernel("network namespace, egress proxy"),
                (false, true) => Holds::advisory(
                    "Landlock limits TCP to the proxy's port and not to its address, so that a server which listens on that very port can be reached",
                ),
                (false, false) => Holds::advisory(
                    "this kernel's Landlock does not govern TCP: only programs that follow proxy settings are held",
                ),
            };
            rows.add(RuleId::Network, allowlist(policy), holds, origin);
        }
        // Nothing is asked, so nothing holds: a note says so.
        NetworkMode::Open => {}
    }
    let allowed = &policy.network.unix_sockets;
    let asked = match allowed.is_empty() {
        true => "no Unix socket of the host can be reached".to_owned(),
        false => format!("Unix sockets of the host: only {}", list(allowed.iter().map(|rule| rule.value.as_path()))),
    };
    let holds = if !namespaces {
        match allowed.is_empty() {
            true => Holds::kernel("seccomp"),
            false => Holds::none("without namespaces no Unix socket can be used; none of them works"),
        }
    } else if plan.namespaces.contains(&super::Namespace::Network) {
        Holds::kernel("network namespace, covering mounts")
    } else if facts.host.landlock_abi >= SCOPES {
        Holds::kernel("covering mounts, Landlock scope")
    } else {
        Holds::advisory("the network is shared, and this kernel's Landlock cannot keep abstract sockets apart")
    };
    rows.add(RuleId::UnixSockets, asked, holds, allowed.first().map(|rule| rule.origin.clone()));
}

fn process(rows: &mut Rows<'_>, policy: &Policy, plan: &LinuxPlan, limits: &Limits, uid: u32) {
    let namespaces = plan.mechanism == Mechanism::Namespaces;
    let scoped = plan.landlock.as_ref().is_some_and(|ruleset| ruleset.scopes.contains(&Scope::Signal));
    let holds = match (namespaces, scoped) {
        (true, _) => Holds::kernel("PID namespace, seccomp"),
        (false, true) => Holds::advisory(
            "a child subreaper ends the tree; processes that fork faster than they are ended can outlive the run",
        ),
        (false, false) => Holds::none("this kernel's Landlock does not keep signals from other processes of the user"),
    };
    rows.add(RuleId::ProcessTree, "no process outlives the run".into(), holds, None);
    let process = &policy.process;
    if let Some(rule) = &process.timeout {
        let holds = match namespaces {
            true => Holds::kernel("SIGKILL to the PID namespace"),
            false => Holds::advisory("as process.tree"),
        };
        rows.add(RuleId::Timeout, format!("ends after {}", rule.value), holds, Some(rule.origin.clone()));
    }
    let cgroup = plan.cgroup.as_ref();
    if let Some(rule) = &process.memory {
        let holds = match sets(cgroup, "memory.max") {
            true => Holds::kernel("cgroup memory.max"),
            false => Holds::advisory(format!(
                "no cgroup is delegated: each process is limited by RLIMIT_DATA, their sum is only measured every {} ms",
                plan.monitor_ms.unwrap_or_default()
            )),
        };
        rows.add(RuleId::Memory, format!("at most {}", rule.value), holds, Some(rule.origin.clone()));
    }
    if let Some(rule) = &process.processes {
        let holds = if sets(cgroup, "pids.max") {
            Holds::kernel("cgroup pids.max")
        } else if uid == 0 {
            Holds::advisory("no cgroup is delegated, and RLIMIT_NPROC does not bind the superuser: only measured")
        } else if namespaces {
            Holds::kernel("RLIMIT_NPROC of the user namespace")
        } else {
            Holds::advisory("RLIMIT_NPROC counts every process of the user, not only those of the run")
        };
        rows.add(RuleId::Processes, format!("at most {}", rule.value), holds, Some(rule.origin.clone()));
    }
    if let (Some(rule), Some(milli)) = (&process.cpus, limits.cpus_milli) {
        let holds = if sets(cgroup, "cpu.max") {
            Holds::kernel("cgroup cpu.max")
        } else if milli % 1000 == 0 {
            Holds::kernel("processor affinity, seccomp")
        } else {
            Holds::advisory("no cgroup is delegated: processor affinity only limits to whole processors")
        };
        rows.add(RuleId::Cpus, format!("at most {}", rule.value), holds, Some(rule.origin.clone()));
    }
}

/// What an allowlist asks, in words.
fn allowlist(policy: &Policy) -> String {
    let words = |rules: &[Rule<HostRule>]| some(rules.iter().map(|rule| rule.value.to_string()));
    let network = &policy.network;
    let mut text = match network.allow.is_empty() {
        true => "no host can be reached".to_owned(),
        false => format!("only {} can be reached", words(&network.allow)),
    };
    if !network.deny.is_empty() {
        text += &format!("; never {}", words(&network.deny));
    }
    if let Some(upstream) = &network.upstream {
        text += &format!("; through {}", upstream.value);
    }
    text
}

/// Holes that no rule names, each in one sentence.
pub(super) fn notes(policy: &Policy, facts: &LinuxFacts, plan: &LinuxPlan) -> Vec<String> {
    let mut notes = Vec::new();
    let survey = &facts.survey;
    if !survey.watch.is_empty() {
        notes.push(format!(
            "protected names that do not exist cannot be held; what appears there is moved away after the run: {}",
            list(survey.watch.iter().map(|watch| watch.path.as_path()))
        ));
    }
    if policy.filesystem.protect.iter().any(|rule| rule.value == Protect::Git) && !survey.write.is_empty() {
        notes.push("repositories deeper in a write root, other than its submodules, are not protected".into());
    }
    if plan.mechanism == Mechanism::Namespaces {
        notes.push(
            "a Unix socket that a host process binds during the run, outside the directories that are hidden or private, can be reached".into(),
        );
        if plan.landlock.is_none() {
            notes.push("without Landlock, named pipes of the host can be written".into());
        }
    }
    if let Some(carved) = &survey.carved
        && plan.mechanism == Mechanism::Landlock
        && !carved.opened.is_empty()
    {
        notes.push(format!(
            "cannot be listed, since something in them is hidden: {}",
            list(carved.opened.iter().map(|path| path.as_path()))
        ));
    }
    if let Some(egress) = &plan.egress {
        notes.extend(egress_notes(plan, egress));
    }
    if policy.network.mode.value == NetworkMode::Open {
        notes.push("the network is open: every host can be reached, and whatever can be read can be sent away".into());
    }
    notes
}

/// What an allowlist leaves open.
fn egress_notes(plan: &LinuxPlan, egress: &EgressPlan) -> Vec<String> {
    let mut notes = vec!["an allowed host that accepts uploads can be sent whatever can be read".to_owned()];
    if let Some(upstream) = &egress.upstream {
        notes.push(format!(
            "{upstream} resolves names, so that their addresses are not checked: a name that leads to a private address is reached"
        ));
    }
    let direct = egress.sockets.iter().filter(|socket| socket.serves == Serves::Direct && socket.address.is_ipv4());
    let mut ports: Vec<_> = direct.map(|socket| socket.address.port().to_string()).collect();
    ports.dedup();
    match plan.mechanism {
        Mechanism::Namespaces if !ports.is_empty() => notes.push(format!(
            "ports that the command cannot listen on, since direct connections to allowed hosts arrive there: {}",
            some(ports.into_iter())
        )),
        Mechanism::Namespaces => {}
        Mechanism::Landlock => notes.push(
            "the proxy listens on the host's loopback device: other processes of this machine can use it, too".into(),
        ),
    }
    if egress.allow.iter().any(|rule| rule.value.ports == Ports::All) {
        notes.push(
            "a rule for all ports holds for programs that use the proxy; direct connections need a rule with the port"
                .into(),
        );
    }
    notes
}
