//! What a plan says, and what it refuses.

use std::path::Path;

use ringfence_ntsec::{AccessMask, AclState, Token, WriteReading, well_known};
use ringfence_policy::{Everyone, Overrides, RuleId};

use super::world::{ANN, LOGON, WORKSPACE, World, ann, invocation, path, place, policy};
use crate::facts::windows::*;
use crate::plan::windows::{ConsolePlan, Hole, PrivatePurpose, SidRole};
use crate::plan::{Plan, SystemPlan};
use crate::survey::{Before, Watch};
use crate::{Facts, Holds, Invocation};

fn world() -> World {
    World::new("workspace", WriteReading::Reported)
}

fn guard() -> World {
    World::new("guard", WriteReading::Reported)
}

fn holds(plan: &Plan, rule: RuleId) -> &Holds {
    &plan.rules().iter().find(|row| row.rule == rule).unwrap_or_else(|| panic!("no row for {rule}")).holds
}

fn code(world: &World) -> &'static str {
    world.plan().err().map_or("ok", |error| error.code())
}

fn resolve(world: &World, invocation: &Invocation) -> Result<Plan, crate::Error> {
    Plan::resolve(&world.policy, &Facts::Windows(Box::new(world.facts.clone())), invocation)
}

#[test]
fn facts_and_plans_survive_json() {
    let mut world = guard();
    world.facts.survey.watch.push(Watch { path: format!(r"{WORKSPACE}\.envrc").into(), before: Before::Missing });
    let facts = Facts::Windows(Box::new(world.facts.clone()));
    let json = serde_json::to_string(&facts).unwrap();
    assert!(json.starts_with(r#"{"system":"windows""#), "{json}");
    assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
    let plan = world.plan().unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    assert_eq!(world.plan().unwrap(), plan, "a plan is a function of what it is made from");
}

/// The file that the documentation and the tests of the program plan from. `UPDATE_FIXTURES=1` writes it anew.
#[test]
fn the_facts_of_the_documentation_are_those_of_the_model() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/fixtures/windows-facts.json");
    let mut text = serde_json::to_string_pretty(&Facts::Windows(Box::new(guard().facts))).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn the_default_policy_is_refused_with_every_way_on() {
    let plan = world().plan().unwrap();
    assert!(holds(&plan, RuleId::FilesystemWrite).is_kernel());
    assert!(holds(&plan, RuleId::FilesystemProtect).is_kernel());
    assert!(holds(&plan, RuleId::ProcessTree).is_kernel());
    assert!(matches!(holds(&plan, RuleId::FilesystemHide), Holds::None { .. }));
    assert!(matches!(holds(&plan, RuleId::Network), Holds::Advisory { .. }));
    let proxy =
        plan.command.environment.iter().find(|(name, _)| name.to_string().eq_ignore_ascii_case("HTTPS_PROXY")).unwrap();
    assert_eq!(proxy.1.to_string(), "http://127.0.0.1:9");
    let refusal = plan.refusal().unwrap();
    assert_eq!((refusal.code(), refusal.exit_status()), ("not-enforced", 126));
    let text = refusal.to_string();
    for way in ["`--accept-degraded filesystem.hide`", "`--accept-degraded network`", "`--profile guard`"] {
        assert!(text.contains(way), "{way}: {text}");
    }

    let mut accepted = world();
    accepted.policy = policy(
        "workspace",
        Overrides { accept_degraded: vec![RuleId::FilesystemHide, RuleId::Network], ..Overrides::default() },
    );
    assert!(accepted.plan().unwrap().refusal().is_none());
    assert!(guard().plan().unwrap().refusal().is_none());
}

// A system that hands back an unrestricted token and no error ran commands unconfined.
#[test]
fn a_system_that_does_not_enforce_is_refused_and_one_that_was_not_tried_too() {
    let failed = SelfCheck::Failed { step: "write outside".into(), why: "it succeeded".into() };
    for (check, none) in [(failed, true), (SelfCheck::NotMade, false)] {
        let mut world = guard();
        world.facts.host.self_check = check;
        let plan = world.plan().unwrap();
        for rule in [RuleId::FilesystemWrite, RuleId::FilesystemMetadata, RuleId::FilesystemProtect] {
            assert_eq!(matches!(holds(&plan, rule), Holds::None { .. }), none);
            assert!(!holds(&plan, rule).is_kernel());
        }
        let text = plan.refusal().unwrap().to_string();
        // The profile asks for writes too: it is no way on here.
        assert!(!text.contains("guard"), "{text}");
        assert!(holds(&plan, RuleId::ProcessTree).is_kernel());
    }
}

#[test]
fn everyone_is_added_only_where_it_was_measured_to_be_needed() {
    let has_everyone = |world: &World| {
        world.windows().token.restricting.iter().any(|restricting| restricting.role == SidRole::Everyone)
    };
    let mut world = guard();
    let program = world.facts.survey.program.path.clone();
    let shell = |state| Shell { kind: ShellKind::Powershell, path: program.clone(), state };
    assert!(!has_everyone(&world));
    world.facts.host.shells = vec![shell(ShellState::Starts)];
    assert!(!has_everyone(&world));
    world.facts.host.shells = vec![shell(ShellState::NeedsEveryone)];
    assert!(has_everyone(&world));
    assert_eq!(
        world.plan().unwrap().refusal().unwrap().code(),
        "not-enforced",
        "there is a place that Everyone may write"
    );
    world.facts.host.everyone_writable.places.clear();
    assert!(world.plan().unwrap().refusal().is_none());
    world.facts.host.everyone_writable.complete = false;
    assert!(matches!(holds(&world.plan().unwrap(), RuleId::FilesystemWrite), Holds::Advisory { .. }));
    world.policy.windows.everyone.value = Everyone::Never;
    assert_eq!(code(&world), "command-not-executable");
    world.facts.host.shells.clear();
    world.policy.windows.everyone.value = Everyone::Always;
    assert!(has_everyone(&world));
}

#[test]
fn bad_roots_are_refused_each_by_its_code() {
    type Change = fn(&mut WindowsPlace);
    let cases: &[(&str, Change)] = &[
        ("root-link", |root| root.reparse = ReparseKind::Junction),
        ("root-link", |root| root.reparse = ReparseKind::Symlink),
        ("root-cloud", |root| root.reparse = ReparseKind::Cloud),
        ("root-reparse-point", |root| root.reparse = ReparseKind::Other { tag: 0x8000_0017 }),
        ("root-no-acls", |root| root.volume.persistent_acls = false),
        ("root-read-only", |root| root.volume.read_only = true),
        ("root-read-only", |root| root.volume.drive = DriveKind::Optical),
        ("root-remote", |root| root.volume.drive = DriveKind::Remote),
        ("root-remote", |root| root.volume.reached = Reached::Unc),
        ("root-remote", |root| root.path = path(r"\\server\share\project")),
        ("root-mapped", |root| root.volume.reached = Reached::Mapped),
        ("root-subst", |root| root.volume.reached = Reached::Subst),
        ("root-null-dacl", |root| root.descriptor.as_mut().unwrap().dacl = AclState::Null),
        ("root-null-dacl", |root| root.descriptor.as_mut().unwrap().dacl = AclState::Absent),
        ("root-not-grantable", |root| root.descriptor = None),
        ("root-not-grantable", |root| root.rights = AccessMask::FILE_MODIFY),
        ("root-hard-links", |root| (root.directory, root.links) = (false, 2)),
        ("root-holds-state", |root| root.path = path(r"C:\Users\ann\AppData\Local\ringfence\x")),
        ("root-refused", |root| root.path = path(r"C:\")),
        ("root-refused", |root| root.path = path(r"C:\Windows\System32")),
        ("root-refused", |root| root.path = path(r"C:\Program Files\x")),
        ("root-refused", |root| root.path = path(r"C:\ProgramData\x")),
        ("root-refused", |root| root.path = path(r"C:\Users")),
        ("root-refused", |root| root.path = path(r"C:\Users\ann")),
        ("root-refused", |root| root.path = path(r"C:\Users\bob")),
        ("root-refused", |root| root.path = path(r"c:\users\ANN\AppData\roaming")),
        ("root-refused", |root| root.path = path(r"C:\Users\ann\AppData\Local\Temp")),
        ("ok", |root| root.volume.drive = DriveKind::Removable),
        ("ok", |root| root.links = 3),
        ("ok", |root| root.volume.dev_drive = true),
        ("ok", |_| {}),
    ];
    for (number, (expected, change)) in cases.iter().enumerate() {
        let mut world = guard();
        change(&mut world.facts.survey.write[0]);
        assert_eq!(code(&world), *expected, "case {number}");
    }
}

// Folders that an administrator moved to another drive were granted, hives and all.
#[test]
fn directories_are_refused_where_this_machine_has_them() {
    for (folder, root) in [
        ("profile", r"D:\Profiles\ann"),
        ("profile", r"D:\Profiles"),
        ("local", r"E:\Local"),
        ("system", r"F:\WinNT\System32"),
        ("system", r"F:\"),
        ("programs", r"G:\Apps\Git"),
        ("temporary", r"H:\Tmp"),
    ] {
        let mut world = guard();
        world.facts.survey.write[0].path = path(root);
        let directories = &mut world.facts.caller.directories;
        match folder {
            "profile" => directories.profile = path(r"D:\Profiles\ann"),
            "local" => directories.local_app_data = path(r"E:\Local"),
            "system" => directories.system_root = path(r"F:\WinNT"),
            "temporary" => directories.temporary = path(r"H:\Tmp"),
            _ => directories.program_files.push(path(r"G:\Apps")),
        }
        assert_eq!(code(&world), "root-refused", "{root}");
        world.facts.survey.write[0].path = path(r"D:\Profiles\ann\src\app");
        assert_eq!(code(&world), "ok", "{folder}");
    }
}

#[test]
fn callers_that_no_working_token_can_be_made_of_are_refused() {
    let with = |change: &dyn Fn(&Token) -> Token| {
        let mut world = guard();
        world.facts.caller.token = change(&ann());
        world
    };
    let text = |token: &Token, line: &str| format!("{token}{line}").parse::<Token>().unwrap();
    assert_eq!(code(&with(&|token| text(token, "restricting WD"))), "caller-restricted");
    assert_eq!(code(&with(&|token| text(token, "package S-1-15-2-1-2-3-4-5-6-7"))), "caller-app-container");
    let without_logon =
        |token: &Token| token.to_string().replace(&format!("group {LOGON} logon\n"), "").parse().unwrap();
    let mut service = with(&without_logon);
    assert_eq!(code(&service), "ok", "its own window station lets the command in");
    service.facts.host.self_check = SelfCheck::Passed { reading: Reading::Reported, window_station: false };
    assert_eq!(code(&service), "caller-no-logon-session");
    let mut user = guard();
    user.facts.host.self_check = SelfCheck::Passed { reading: Reading::Reported, window_station: false };
    let plan = user.windows();
    assert!(plan.desktop.window_station.is_none() && plan.holes.contains(&Hole::SharedWindowStation));
}

// An administrator's command kept the administrator's powers.
#[test]
fn an_elevated_caller_gives_no_powers_away() {
    let mut world = guard();
    let elevated = format!(
        "user {ANN}\ngroup WD\ngroup BA owner\ngroup BU\ngroup {LOGON} logon\nprivilege SeDebugPrivilege\n\
         privilege SeBackupPrivilege\nprivilege SeRestorePrivilege\nprivilege SeChangeNotifyPrivilege\nintegrity high\nowner BA"
    );
    world.facts.caller.token = elevated.parse().unwrap();
    world.facts.caller.elevation = Elevation::Full;
    let plan = world.windows();
    let token = plan.token.finished(&world.facts.caller.token);
    let privileges: Vec<&str> = token.privileges().iter().map(|(privilege, _)| privilege.name()).collect();
    assert_eq!(privileges, ["SeChangeNotifyPrivilege"]);
    assert_eq!((token.integrity().0, token.owner()), (0x2000, &ANN.parse().unwrap()));
    let administrators = token.groups().iter().find(|group| group.sid == well_known::ADMINISTRATORS).unwrap();
    assert!(administrators.attributes.contains(ringfence_ntsec::GroupAttributes::USE_FOR_DENY_ONLY));
    assert_eq!(plan.token.differences(&token), Vec::<String>::new());
}

#[test]
fn the_environment_is_coherent_and_holds_no_secret() {
    let world = guard();
    let command = world.plan().unwrap().command;
    let value = |name: &str| {
        let found: Vec<String> = command
            .environment
            .iter()
            .filter(|(known, _)| known.to_string().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_string())
            .collect();
        assert!(found.len() < 2, "{name} occurs twice");
        found.into_iter().next()
    };
    let plan = world.windows();
    let directory = |purpose| plan.private.iter().find(|own| own.purpose == purpose).unwrap().path.to_string();
    for name in ["TEMP", "TMP", "TMPDIR"] {
        assert_eq!(value(name), Some(directory(PrivatePurpose::Temporary)));
    }
    assert_eq!(value("SystemRoot").as_deref(), Some(r"C:\Windows"));
    assert_eq!(value("PATH").as_deref(), Some(r"C:\Program Files\Git;C:\Windows\System32"), "no aliases of the Store");
    assert_eq!(value("AWS_SECRET_ACCESS_KEY"), None);
    assert_eq!(value("USERNAME").as_deref(), Some("ann"));
    let cache = directory(PrivatePurpose::Cache);
    for name in [
        "CARGO_HOME",
        "NUGET_PACKAGES",
        "npm_config_cache",
        "PIP_CACHE_DIR",
        "GRADLE_USER_HOME",
        "GOCACHE",
        "GOMODCACHE",
    ] {
        assert!(value(name).unwrap().starts_with(&cache), "{name}");
    }
    // A socket in TEMP has 108 bytes for its path, the final NUL and its own name included.
    assert!(directory(PrivatePurpose::Temporary).len() < 80);
}

#[test]
fn caches_that_can_be_written_stay_where_they_are_and_a_policy_decides() {
    let mut world = guard();
    world.facts.caller.directories.developer_caches =
        vec![DeveloperCache { tool: CacheTool::Cargo, path: path(&format!(r"{WORKSPACE}\.cargo")) }];
    world.policy =
        policy("guard", Overrides { set: [("PIP_CACHE_DIR".into(), "here".into())].into(), ..Overrides::default() });
    let command = world.plan().unwrap().command;
    let value = |name: &str| {
        command.environment.iter().find(|(known, _)| known.to_string() == name).map(|(_, value)| value.to_string())
    };
    assert_eq!(value("CARGO_HOME"), None);
    assert_eq!(value("PIP_CACHE_DIR").as_deref(), Some("here"));
}

#[test]
fn batch_files_are_run_by_the_systems_cmd() {
    let mut world = guard();
    world.facts.survey.program.kind = ProgramKind::Batch;
    world.facts.survey.program.path = path(r"C:\node\npm.cmd");
    let process = world.windows().process;
    assert_eq!(process.application, path(r"C:\Windows\System32\cmd.exe"));
    assert!(process.command_line.to_string().ends_with(r#"/d /e:on /v:off /s /c ""C:\node\npm.cmd" "test"""#));
    let mut hostile = invocation();
    hostile.argv.push("\"&calc".into());
    assert_eq!(resolve(&world, &hostile).unwrap_err().code(), "batch-argument");
}

#[test]
fn what_windows_does_not_have_is_refused() {
    let world = guard();
    let with = |change: &dyn Fn(&mut Invocation)| {
        let mut invocation = invocation();
        change(&mut invocation);
        resolve(&world, &invocation).map_or_else(|error| error.code(), |_| "ok")
    };
    assert_eq!(with(&|invocation| invocation.argv.clear()), "command-empty");
    assert_eq!(with(&|invocation| invocation.keep_descriptors.push(3)), "unsupported");
    assert_eq!(with(&|invocation| invocation.mechanism = crate::MechanismChoice::Landlock), "unsupported");
    assert_eq!(with(&|invocation| invocation.argv.push("a\0b".into())), "nul-byte");
    assert_eq!(with(&|invocation| invocation.argv.push("x".repeat(40_000).into())), "command-line");
    assert_eq!(with(&|_| {}), "ok");
}

#[test]
fn an_allowlist_is_as_strong_as_proxy_settings_are() {
    let mut world = guard();
    world.policy =
        policy("workspace", Overrides { allow: vec!["example.com".parse().unwrap()], ..Overrides::default() });
    let plan = world.plan().unwrap();
    assert!(matches!(holds(&plan, RuleId::Network), Holds::Advisory { .. }));
    assert_eq!(world.windows().egress.unwrap().sockets.len(), 1);
    let proxy = plan.command.environment.iter().find(|(name, _)| name.to_string().eq_ignore_ascii_case("HTTPS_PROXY"));
    assert_eq!(proxy.unwrap().1.to_string(), "http://127.0.0.1:0", "the kernel chooses the port");
    assert!(guard().windows().egress.is_none());
}

#[test]
fn a_terminal_takes_the_place_of_the_handles() {
    let mut invocation = invocation();
    invocation.tty = true;
    let SystemPlan::Windows(plan) = resolve(&guard(), &invocation).unwrap().system else { panic!() };
    assert_eq!((plan.process.console, plan.process.handles.len()), (ConsolePlan::Pseudo, 0));
    assert_eq!(guard().windows().process.handles.len(), 3);
}

// One file that could not be re-permitted made every command fail.
#[test]
fn protected_objects_that_cannot_be_granted_are_named_and_left_alone() {
    let mut world = guard();
    world.facts.survey.protect[0].rights = AccessMask::FILE_GENERIC_READ;
    let plan = world.windows();
    let paths = vec![path(&format!(r"{WORKSPACE}\.vscode"))];
    assert!(plan.holes.contains(&Hole::NotGrantable { paths }));
    assert_eq!(plan.grants[0].protect.len(), 2);
    assert!(world.plan().unwrap().notes().iter().any(|note| note.contains(r"src\app\.vscode")));
}

#[test]
fn roots_in_roots_are_one_grant() {
    let mut world = guard();
    let inner = place(&world.drive, &format!(r"{WORKSPACE}\target"));
    let twice = place(&world.drive, WORKSPACE);
    world.facts.survey.write.extend([inner, twice]);
    assert_eq!(world.windows().grants.len(), 1);
}

// Facts of another policy would have been planned without the root, or with one more.
#[test]
fn facts_that_were_taken_for_other_roots_are_refused() {
    let mut world = guard();
    world.policy = policy("guard", Overrides { write: vec![r"D:\data".into()], ..Overrides::default() });
    assert_eq!(code(&world), "survey-failed");
    let mut data = world.facts.survey.write[0].clone();
    (data.asked, data.path) = (r"D:\data".into(), path(r"D:\data"));
    data.object.file += 1;
    world.facts.survey.write.push(data);
    assert_eq!(code(&world), "ok");
}
