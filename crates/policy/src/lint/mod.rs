//! What is allowed, but probably not meant.

mod data;
mod network;

use std::path::PathBuf;

use serde::Serialize;

use crate::anchor::Anchors;
use crate::decide::{FileRules, Reason};
use crate::names::{Everyone, NetworkMode, Require, RuleId, System, Verdict};
use crate::origin::Origin;
use crate::path::{PathKey, TreeIndex};
use crate::policy::{Hide, Policy, Protect, ReadScope};
use crate::refuse::refused_write_root;
use crate::secrets::{join_home, secret_locations};
use crate::variable::VariablePattern;
use data::{SECRET_NAME_PARTS, SECRET_VARIABLES, STARTUP};
use network::{lint_network, lint_sockets};

/// Something that a policy allows, but that its author probably did not mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// Stable name.
    pub code: &'static str,
    /// The rule it is about.
    pub origin: Option<Origin>,
    /// What is risky.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// Everything in the policy that is allowed but probably not meant.
#[must_use]
pub fn lint(policy: &Policy, anchors: &Anchors) -> Vec<Lint> {
    let mut lints = Lints(Vec::new());
    let files = FileRules::new(policy);
    lint_network(policy, &mut lints);
    lint_secrets(policy, anchors, &files, &mut lints);
    lint_write_roots(policy, anchors, &files, &mut lints);
    lint_protect(policy, &mut lints);
    lint_hide_and_read(policy, anchors, &files, &mut lints);
    lint_sockets(policy, &mut lints);
    lint_environment(policy, &mut lints);
    lint_enforcement(policy, &mut lints);
    lints.0
}

struct Lints(Vec<Lint>);

impl Lints {
    fn add(&mut self, code: &'static str, origin: &Origin, message: String, advice: &str) {
        self.0.push(Lint { code, origin: Some(origin.clone()), message, advice: advice.to_owned() });
    }
}

fn lint_secrets(policy: &Policy, anchors: &Anchors, files: &FileRules<'_>, lints: &mut Lints) {
    if policy.network.mode.value == NetworkMode::Off {
        return;
    }
    let readable: Vec<PathBuf> =
        secret_locations(anchors).into_iter().filter(|path| files.read(path).verdict == Verdict::Allow).collect();
    let Some(first) = readable.first() else {
        return;
    };
    let origin = match &policy.filesystem.read {
        ReadScope::Host(origin) => origin,
        ReadScope::Roots(roots) => roots.first().map_or(&policy.network.mode.origin, |rule| &rule.origin),
    };
    let message = format!(
        "{} places of secrets, such as {}, are readable while the network is \"{}\"",
        readable.len(),
        first.display(),
        policy.network.mode.value
    );
    lints.add("secrets-readable", origin, message, "add \"@secrets\" to `filesystem.hide`");
}

fn lint_write_roots(policy: &Policy, anchors: &Anchors, files: &FileRules<'_>, lints: &mut Lints) {
    let system = policy.anchors.system;
    let startup: Vec<(PathBuf, PathKey)> = anchors
        .home
        .iter()
        .flat_map(|home| STARTUP.iter().map(|name| join_home(home, name, system)))
        .filter_map(|path| PathKey::new(&path, system).map(|key| (path, key)))
        .collect();
    for rule in &policy.filesystem.write {
        let shown = rule.value.display();
        if let Some(reason) = refused_write_root(&rule.value, anchors) {
            let message = format!("the write root {shown} is too wide: {reason}");
            lints.add("write-root-too-wide", &rule.origin, message, "name the project's directory");
        }
        let Some(key) = PathKey::new(&rule.value, system) else {
            continue;
        };
        if files.write(&rule.value).reason == Reason::Hidden {
            let message = format!("the write root {shown} is hidden, which wins");
            lints.add("write-root-hidden", &rule.origin, message, "remove it from `write` or from `hide`");
        }
        if let Some((place, _)) = startup.iter().find(|(_, place)| place.is_in(&key) || key.is_in(place)) {
            let message =
                format!("the write root {shown} covers {}, which runs outside the sandbox later", place.display());
            lints.add("write-root-startup", &rule.origin, message, "name a narrower directory, or protect that place");
        }
    }
}

fn lint_protect(policy: &Policy, lints: &mut Lints) {
    let system = policy.anchors.system;
    let files = &policy.filesystem;
    let roots = TreeIndex::of(files.write.iter().map(|rule| &rule.value), system);
    let protected = TreeIndex::of(
        files.protect.iter().filter_map(|rule| match &rule.value {
            Protect::Path(path) => Some(path),
            Protect::Git => None,
        }),
        system,
    );
    if let Some(root) = files.write.first()
        && !files.protect.iter().any(|rule| rule.value == Protect::Git)
    {
        let message = "hooks and configuration of Git repositories are writable, and git runs them later".to_owned();
        lints.add("protect-git-missing", &root.origin, message, "add \"@git\" to `filesystem.protect`");
    }
    for rule in &files.protect {
        let Protect::Path(path) = &rule.value else {
            continue;
        };
        let Some(key) = PathKey::new(path, system) else {
            continue;
        };
        let shown = path.display();
        let Some(root) = roots.covering(&key).and_then(|number| files.write.get(number)) else {
            let message = format!("{shown} lies in no write root, so protecting it has no effect");
            lints.add("protect-idle", &rule.origin, message, "remove it, or check the path");
            continue;
        };
        let Some(root_key) = PathKey::new(&root.value, system) else {
            continue;
        };
        if key == root_key {
            let message = format!("the write root {shown} is itself protected, so nothing in it is writable");
            lints.add("protect-write-root", &rule.origin, message, "remove it from `write` or from `protect`");
        } else if key.components().count() > root_key.components().count() + 1
            && protected.strictly_covering(&key).is_none()
        {
            let message = format!(
                "the directory of {shown} is writable, so it can be renamed and put back without the protected name"
            );
            lints.add(
                "protect-parent-writable",
                &rule.origin,
                message,
                "protect the topmost directory below the write root",
            );
        }
    }
}

fn lint_hide_and_read(policy: &Policy, anchors: &Anchors, files: &FileRules<'_>, lints: &mut Lints) {
    let system = policy.anchors.system;
    let roots = TreeIndex::of(policy.filesystem.write.iter().map(|rule| &rule.value), system);
    let workspace = PathKey::new(&anchors.workspace, system);
    for rule in &policy.filesystem.hide {
        let Hide::Path(path) = &rule.value else {
            continue;
        };
        let Some(key) = PathKey::new(path, system) else {
            continue;
        };
        if workspace.as_ref().is_some_and(|workspace| workspace.is_in(&key)) {
            let message = format!("{} contains the workspace, so the command sees nothing of it", path.display());
            lints.add("hide-workspace", &rule.origin, message, "hide what is secret in it instead");
        } else if roots.strictly_covering(&key).is_some() {
            let message = format!(
                "{} is hidden inside a write root: the command cannot read it, but it can see and replace what surrounds it",
                path.display()
            );
            lints.add("hide-in-write-root", &rule.origin, message, "keep what is secret outside of every write root");
        }
    }
    if let ReadScope::Roots(list) = &policy.filesystem.read
        && files.read(&anchors.workspace).reason == Reason::OutsideReadRoots
    {
        let origin = list.first().map_or(&policy.enforcement.require.origin, |rule| &rule.origin);
        let message = "the workspace itself is not readable".to_owned();
        lints.add("workspace-unreadable", origin, message, "add \".\" to `filesystem.read`");
    }
}

fn lint_environment(policy: &Policy, lints: &mut Lints) {
    let system = policy.anchors.system;
    for rule in &policy.environment.pass {
        let caught = match &rule.value {
            VariablePattern::Prefix(prefix) if prefix.is_empty() => {
                let message = "`*` passes every variable, tokens included".to_owned();
                lints.add("pass-everything", &rule.origin, message, "list the variables that are needed");
                continue;
            }
            VariablePattern::Exact(name) if looks_secret(name) => Some(&**name),
            pattern => SECRET_VARIABLES.iter().copied().find(|name| pattern.matches_on(name.as_bytes(), system)),
        };
        if let Some(name) = caught {
            let message = format!("`{}` passes {name}, which holds a secret or leads to one", rule.value);
            lints.add("pass-secret", &rule.origin, message, "remove it, or list the harmless names");
        }
    }
    for (name, rule) in &policy.environment.set {
        if looks_secret(name) && !rule.value.is_empty() {
            let message = format!("the policy itself holds the value of {name}");
            lints.add(
                "set-secret",
                &rule.origin,
                message,
                "keep secrets out of policies: files are copied and committed",
            );
        }
    }
}

fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAME_PARTS.iter().any(|part| name.contains(part))
}

fn lint_enforcement(policy: &Policy, lints: &mut Lints) {
    let enforcement = &policy.enforcement;
    if enforcement.require.value == Require::Advisory {
        let message = "every rule may rest on the command's good will".to_owned();
        let advice = "set `require = \"kernel\"` and accept single rules with `accept_degraded`";
        lints.add("require-advisory", &enforcement.require.origin, message, advice);
    }
    for rule in &enforcement.accept_degraded {
        if matches!(rule.value, RuleId::FilesystemWrite | RuleId::Network | RuleId::ProcessTree) {
            let message = format!("`{}` may rest on the command's good will", rule.value);
            lints.add("accept-degraded-core", &rule.origin, message, "remove it where the host can enforce the rule");
        }
    }
    if policy.windows.everyone.value == Everyone::Always && policy.anchors.system == System::Windows {
        let message = "whatever Everyone may write on this machine is writable inside".to_owned();
        lints.add("everyone-always", &policy.windows.everyone.origin, message, "set `everyone = \"auto\"`");
    }
}
