//! What a planned token can do, shown on a drive that checks every access as Windows does, under each reading.

use ringfence_ntsec::volume::Volume as Drive;
use ringfence_ntsec::{
    AccessCheck, AccessMask, IntegrityLevel, Lowbox, ObjectType, Restricting, SecurityDescriptor, Sid, Token,
    WriteReading, well_known,
};

use super::attempts::{Action, Successes, all, is_kept, paths, succeeds, while_open};
use super::world::{ANN, LOGON, World, ann, below, everyone_in, naming, path, place};
use crate::plan::windows::{Hole, PrivatePurpose, WindowsPlan};

const APP: &str = r"\Users\ann\src\app";

/// A started run: the drive with its grants, the plan, the token.
struct Started {
    world: World,
    plan: WindowsPlan,
    token: Token,
}

fn start(reading: WriteReading) -> Started {
    start_with(World::new("guard", reading), |_| {})
}

fn start_with(mut world: World, change: impl FnOnce(&mut WindowsPlan)) -> Started {
    let mut plan = world.windows();
    change(&mut plan);
    let token = world.start(&plan);
    Started { world, plan, token }
}

impl Started {
    fn temporary(&self) -> &str {
        private(&self.plan, PrivatePurpose::Temporary)
    }

    /// What works outside of everything that the run may write.
    fn outside(&self) -> Successes {
        let own = [APP, self.temporary(), private(&self.plan, PrivatePurpose::Cache)];
        let inside = |path: &str| own.iter().any(|own| path == *own || path.starts_with(&format!(r"{own}\")));
        let mut found = self.everywhere(APP);
        found.extend(self.everywhere(self.temporary()));
        found.into_iter().filter(|(_, path)| !inside(path)).collect()
    }

    /// What works anywhere while the supervisor keeps its objects open; things are moved into `own`.
    fn everywhere(&self, own: &str) -> Successes {
        while_open(all(&self.world.drive, &self.token, Some(own)), &self.open())
    }

    fn can(&self, action: Action, path: &str) -> bool {
        succeeds(&self.world.drive, &self.token, Some(self.temporary()), action, path)
            && !is_kept(action, path, &self.open())
    }

    /// What the supervisor keeps open.
    fn open(&self) -> Vec<String> {
        let held = self.plan.held.iter().map(|target| &target.path);
        let private = self.plan.private.iter().map(|directory| &directory.path);
        held.chain(private).map(|path| below(path).to_owned()).collect()
    }
}

fn private(plan: &WindowsPlan, purpose: PrivatePurpose) -> &str {
    below(&plan.private.iter().find(|directory| directory.purpose == purpose).unwrap().path)
}

fn has(plan: &WindowsPlan, hole: impl Fn(&Hole) -> bool) -> bool {
    plan.holes.iter().any(hole)
}

/// Whether an entry of the path's directory can be deleted by who is `ann`, by the directory alone.
fn parent_gives_delete_child(drive: &Drive, path: &str) -> bool {
    let parent = drive.find(path.rsplit_once('\\').unwrap().0).unwrap_or(Drive::ROOT);
    let descriptor = drive.node(parent).unwrap().descriptor();
    AccessCheck::new(&ann(), descriptor, ObjectType::Directory).allows(AccessMask::FILE_DELETE_CHILD)
}

#[test]
fn nothing_outside_is_written_and_the_plan_names_what_else_is_possible() {
    for reading in WriteReading::ALL {
        let run = start(reading);
        let outside = run.outside();
        let actions: Vec<Action> = outside.iter().map(|(action, _)| *action).collect();
        let writes = [Action::Write, Action::WriteStream, Action::MakeFile, Action::MakeDirectory, Action::Rename];
        assert!(!actions.iter().any(|action| writes.contains(action)), "{reading:?}: {outside:?}");
        // The positive control: ann, without the token, can do nearly all of it.
        let free = all(&run.world.drive, &ann(), Some(APP));
        for action in writes {
            assert!(free.iter().any(|(other, path)| *other == action && !path.starts_with(APP)), "{action:?}");
        }
        let re_owned = actions.iter().any(|action| matches!(action, Action::Permit | Action::Own));
        let deleted = actions.iter().any(|action| matches!(action, Action::Delete | Action::Take));
        match reading {
            WriteReading::Wide => assert!(outside.is_empty(), "{outside:?}"),
            WriteReading::Reported => {
                assert!(deleted && !re_owned);
                // The hole is FILE_DELETE_CHILD and nothing else: exactly where the directory gives it to the user.
                for (action, path) in &outside {
                    assert!(parent_gives_delete_child(&run.world.drive, path), "{action:?} {path}");
                }
                let full = outside.iter().filter(|(action, _)| *action == Action::Take).map(|(_, path)| path.as_str());
                let full: Vec<&str> = full.collect();
                for path in [r"\Users\ann\.ssh", r"\Users\ann\Documents", r"\Users\ann\NTUSER.DAT"] {
                    assert!(full.contains(&path), "{path} is not named");
                }
            }
            WriteReading::Narrow => assert!(deleted && re_owned),
        }
        assert_eq!(has(&run.plan, |hole| *hole == Hole::DeleteChild), deleted && !re_owned, "{reading:?}");
        assert_eq!(has(&run.plan, |hole| *hole == Hole::DeleteAndOwn), re_owned, "{reading:?}");
    }
}

#[test]
fn the_rows_of_a_plan_say_what_the_model_finds() {
    for reading in WriteReading::ALL {
        let plan = World::new("guard", reading).plan().unwrap();
        let sound = reading != WriteReading::Narrow;
        assert_eq!(plan.rules().iter().all(|row| row.holds.is_kernel()), sound, "{reading:?}: {:#?}", plan.rules());
        assert_eq!(plan.refusal().is_none(), sound);
    }
}

#[test]
fn work_goes_on_inside() {
    for reading in WriteReading::ALL {
        let run = start(reading);
        for (action, path) in [
            (Action::Write, r"\Users\ann\src\app\main.rs"),
            (Action::WriteStream, r"\Users\ann\src\app\main.rs"),
            (Action::Delete, r"\Users\ann\src\app\main.rs"),
            (Action::Rename, r"\Users\ann\src\app\main.rs"),
            (Action::Take, r"\Users\ann\src\app\main.rs"),
            (Action::MakeFile, r"\Users\ann\src\app"),
            (Action::MakeFile, r"\Users\ann\src\app\.git"),
            (Action::MakeDirectory, r"\Users\ann\src\app\.git\objects"),
            (Action::Write, r"\Users\ann\src\app\.git\HEAD"),
            (Action::Rename, r"\Users\ann\src\app\.git\HEAD"),
            (Action::Rename, r"\Users\ann\src\app\target"),
            (Action::MakeFile, run.temporary()),
            (Action::MakeFile, private(&run.plan, PrivatePurpose::Cache)),
        ] {
            assert!(run.can(action, path), "{reading:?}: {action:?} {path}");
        }
    }
}

// Grants without DELETE broke every tool that writes a file beside the old one and moves it into place.
#[test]
fn a_file_is_replaced_by_renaming_another_one_over_it() {
    for reading in WriteReading::ALL {
        let Started { mut world, token, .. } = start(reading);
        world.drive.create_file(&token, r"\Users\ann\src\app\main.rs~", None).unwrap();
        world.drive.rename(&token, r"\Users\ann\src\app\main.rs~", r"\Users\ann\src\app\main.rs", true).unwrap();
    }
}

#[test]
fn protected_objects_stay_as_and_where_they_are() {
    const PROTECTED: [&str; 3] =
        [r"\Users\ann\src\app\.vscode", r"\Users\ann\src\app\.git\config", r"\Users\ann\src\app\.git\hooks"];
    const BELOW: [&str; 2] = [r"\Users\ann\src\app\.vscode\tasks.json", r"\Users\ann\src\app\.git\hooks\pre-commit"];
    for reading in [WriteReading::Reported, WriteReading::Wide] {
        let run = start(reading);
        let inside = run.everywhere(run.temporary());
        let broken: Vec<_> = inside.iter().filter(|(_, path)| PROTECTED.contains(&path.as_str())).collect();
        assert!(broken.is_empty(), "{reading:?}: {broken:?}");
        // What lies in a protected directory can be deleted or taken away where that right is not covered, and nothing else.
        let broken: Vec<Action> =
            inside.iter().filter(|(_, path)| BELOW.contains(&path.as_str())).map(|(action, _)| *action).collect();
        let gone = |action: &Action| matches!(action, Action::Delete | Action::Take);
        assert!(broken.iter().all(gone), "{reading:?}: {broken:?}");
        assert_eq!(broken.is_empty(), reading == WriteReading::Wide, "{reading:?}: the plan says so otherwise");
        // Renaming what is above them would make room for others of their names.
        for path in [r"\Users\ann\src\app\.git", APP] {
            for action in [Action::Rename, Action::Delete, Action::Take, Action::Permit, Action::Own] {
                assert!(!run.can(action, path), "{reading:?}: {action:?} {path}");
            }
        }
    }
}

// A protected file could be deleted through the directory that holds it and then made anew, since the right to delete a
// directory's entries is asked of the user alone; and what is above it could be renamed. Taken away here is what keeps it:
// the open handles, and the entries.
#[test]
fn without_what_holds_them_protected_objects_could_be_replaced() {
    let config = r"\Users\ann\src\app\.git\config";
    let mut run = start_with(World::new("guard", WriteReading::Reported), |plan| plan.held.clear());
    assert!(!run.can(Action::Write, config));
    run.world.drive.delete(&run.token, config).unwrap();
    run.world.drive.create_file(&run.token, config, None).unwrap();
    run.world.drive.write(&run.token, config, b"[core]\n\tfsmonitor = evil").unwrap();

    let bare = |plan: &mut WindowsPlan| plan.grants[0].hold.clear();
    let run = start_with(World::new("guard", WriteReading::Wide), bare);
    assert!(run.can(Action::Rename, r"\Users\ann\src\app\.git"));
}

// Entries that deny something to the user broke other programs of the same user. While a run lasts, what it keeps open
// cannot be moved, and that is all.
#[test]
fn nothing_changes_for_the_user() {
    for reading in WriteReading::ALL {
        let before = World::new("guard", reading);
        let possible = all(&before.drive, &ann(), Some(r"\Users\ann\Documents"));
        let after = start(reading);
        let still = all(&after.world.drive, &ann(), Some(r"\Users\ann\Documents"));
        let lost: Vec<_> = possible.difference(&still).collect();
        assert!(lost.is_empty(), "{reading:?}: {lost:?}");
        let meanwhile = while_open(still, &after.open());
        let lost = possible.difference(&meanwhile);
        assert!(lost.clone().all(|(action, _)| matches!(action, Action::Delete | Action::Rename | Action::Take)));
        for grant in &after.plan.grants {
            let edits = grant.protect.iter().chain(&grant.hold).map(|edit| &edit.ace);
            assert!(edits.chain([&grant.allow]).all(|ace| ace.sid.is_ringfence()), "no entry names the user");
        }
    }
}

#[test]
fn two_runs_cannot_change_what_is_the_others() {
    for reading in [WriteReading::Reported, WriteReading::Wide] {
        let first = start(reading);
        let mut world = first.world.another_run();
        let mut drive = world.drive.clone();
        drive.create_file(&first.token, &format!(r"{}\secret.txt", first.temporary()), None).unwrap();
        world.drive = drive;
        let second = start_with(world, |_| {});
        assert_ne!(first.temporary(), second.temporary());
        let reached: Vec<_> = second
            .everywhere(second.temporary())
            .into_iter()
            .filter(|(_, path)| {
                path.starts_with(first.temporary()) || path == private(&first.plan, PrivatePurpose::Holder)
            })
            .collect();
        assert!(reached.is_empty(), "{reading:?}: {reached:?}");
        // The control: the first run can change it.
        assert!(succeeds(
            &second.world.drive,
            &first.token,
            None,
            Action::Write,
            &format!(r"{}\secret.txt", first.temporary())
        ));
        // Pipes and events that either makes are its own.
        for kind in [ObjectType::Pipe, ObjectType::Event, ObjectType::Section] {
            let object = made_by(&first, kind);
            let check =
                |token| AccessCheck::new(token, &object, kind).with_write_reading(reading).allows(kind.mapping().write);
            assert!(check(&first.token) && !check(&second.token), "{kind:?}");
        }
    }
}

/// The descriptor of an object that a run makes without naming one.
fn made_by(run: &Started, kind: ObjectType) -> SecurityDescriptor {
    let mut dacl = run.token.default_dacl().unwrap().clone();
    dacl.map_generic(&kind.mapping());
    SecurityDescriptor::new(*run.token.user(), *run.token.user(), dacl)
}

// A child process could not write to a pipe of its own parent, since the token's default list named no restricting SID: every
// tool that captures another one's output failed. It is also why the list must hold a restricting SID at all.
#[test]
fn pipes_between_processes_of_a_run_work() {
    for reading in WriteReading::ALL {
        let run = start(reading);
        let pipe = made_by(&run, ObjectType::Pipe);
        let both = AccessMask::FILE_GENERIC_READ | AccessMask::FILE_GENERIC_WRITE;
        let allows = |object: &SecurityDescriptor| {
            AccessCheck::new(&run.token, object, ObjectType::Pipe).with_write_reading(reading).allows(both)
        };
        assert!(allows(&pipe), "{reading:?}");
        let unchanged: SecurityDescriptor =
            format!("O:{ANN}D:(A;;FA;;;{ANN})(A;;FA;;;SY)(A;;FR;;;{LOGON})").parse().unwrap();
        assert!(!allows(&unchanged), "the list that a token has by itself");
    }
}

// What programs make with a list of their own that names the user, or the owner, and nobody else: MSYS its pipes, Python its
// temporary directories. They cannot write there themselves; the documentation says so.
#[test]
fn who_makes_an_object_with_a_list_of_its_own_may_be_locked_out_of_it() {
    for reading in WriteReading::ALL {
        let Started { mut world, token, plan } = start(reading);
        let temporary = private(&plan, PrivatePurpose::Temporary).to_owned();
        let python: SecurityDescriptor =
            format!("O:{ANN}D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)").parse().unwrap();
        let made = format!(r"{temporary}\tmp_abc");
        world.drive.create_directory(&token, &made, Some(&python)).unwrap();
        assert!(world.drive.create_file(&token, &format!(r"{made}\x"), None).is_err(), "{reading:?}");
        world.drive.create_directory(&token, &format!(r"{temporary}\plain"), None).unwrap();
        assert!(world.drive.create_file(&token, &format!(r"{temporary}\plain\x"), None).is_ok(), "{reading:?}");
    }
}

// Runs in other workspaces, and workspaces that were granted more in an earlier run, are not this one's.
#[test]
fn another_workspace_is_not_opened() {
    for reading in [WriteReading::Reported, WriteReading::Wide] {
        let mut other = World::new("guard", reading);
        other.policy.filesystem.write.clear();
        other.facts.survey.write = vec![place(&other.drive, r"C:\Users\ann\src\other")];
        other.facts.survey.protect.clear();
        other.facts.survey.between.clear();
        other.facts.identity.workspace = Sid::ringfence_workspace(&[7; 32], 1, 2);
        let plan = other.windows();
        let there = other.start(&plan);
        let mut here = World::new("guard", reading);
        here.drive = other.drive;
        let run = start_with(here, |_| {});
        let file = r"\Users\ann\src\other\main.rs";
        assert!(!run.can(Action::Write, file) && !run.can(Action::Rename, file));
        assert!(succeeds(&run.world.drive, &there, None, Action::Write, file), "the control");
        assert!(!succeeds(&run.world.drive, &there, None, Action::Write, r"\Users\ann\src\app\main.rs"));
    }
}

// A ledger that a run could delete would forget what was granted.
#[test]
fn ringfences_own_state_is_out_of_reach() {
    for reading in [WriteReading::Reported, WriteReading::Wide] {
        let run = start(reading);
        let ledger = r"\Users\ann\AppData\Local\ringfence\ledger";
        for action in [Action::Write, Action::Delete, Action::Rename, Action::Take, Action::Permit, Action::Link] {
            assert!(!run.can(action, ledger), "{reading:?}: {action:?}");
        }
        let directory = r"\Users\ann\AppData\Local\ringfence";
        for action in [Action::Rename, Action::Take, Action::Permit] {
            assert!(!run.can(action, directory), "{reading:?}: {action:?}");
        }
        let free = succeeds(&run.world.drive, &ann(), Some(r"\Users\ann"), Action::Delete, ledger);
        assert!(free, "the control: the user can");
    }
}

#[test]
fn a_policy_without_write_roots_has_no_key_to_any() {
    for reading in [WriteReading::Reported, WriteReading::Wide] {
        // An earlier run was granted the workspace.
        let granted = start(reading).world.drive;
        let mut world = World::new("read-only", reading);
        world.drive = granted;
        let plan = world.windows();
        assert!(plan.grants.is_empty());
        let token = world.start(&plan);
        let temporary = private(&plan, PrivatePurpose::Temporary);
        for action in [Action::Write, Action::WriteStream, Action::MakeFile, Action::MakeDirectory, Action::Rename] {
            let reached: Vec<String> = paths(&world.drive)
                .into_iter()
                .filter(|path| !path.starts_with(temporary))
                .filter(|path| succeeds(&world.drive, &token, Some(temporary), action, path))
                .collect();
            assert!(reached.is_empty(), "{action:?}: {reached:?}");
        }
        assert!(succeeds(&world.drive, &token, None, Action::MakeFile, temporary));
    }
}

#[test]
fn reading_is_open_and_the_plan_says_so() {
    for reading in WriteReading::ALL {
        let run = start(reading);
        assert!(run.world.drive.read(&run.token, r"\Users\ann\.ssh\id_ed25519").is_ok());
        assert!(has(&run.plan, |hole| *hole == Hole::Reads));
        assert!(
            run.world.drive.read(&run.token, r"\Users\bob\diary.txt").is_err(),
            "what ann may not read stays closed"
        );
    }
}

#[test]
fn other_processes_can_be_read_and_ended_and_the_plan_says_so() {
    const VM_READ: AccessMask = AccessMask(0x10);
    const TERMINATE: AccessMask = AccessMask(0x1);
    const CREATE_THREAD: AccessMask = AccessMask(0x2);
    const VM_WRITE: AccessMask = AccessMask(0x20);
    const DUPLICATE_HANDLE: AccessMask = AccessMask(0x40);
    let process: SecurityDescriptor =
        format!("O:{ANN}D:(A;;0x1fffff;;;{ANN})(A;;0x1fffff;;;SY)(A;;0x121411;;;{LOGON})").parse().unwrap();
    for reading in WriteReading::ALL {
        let run = start(reading);
        let check = AccessCheck::new(&run.token, &process, ObjectType::Process).with_write_reading(reading);
        assert!(check.allows(VM_READ) && check.allows(TERMINATE), "{reading:?}");
        assert!(has(&run.plan, |hole| *hole == Hole::ProcessMemory));
        for right in [CREATE_THREAD, VM_WRITE, DUPLICATE_HANDLE] {
            assert!(!check.allows(right), "{reading:?}: {right}");
        }
        assert_eq!(check.allows(AccessMask::WRITE_DAC), reading == WriteReading::Narrow);
        // A child of the run is its own in every respect.
        let child = made_by(&run, ObjectType::Event);
        let own = AccessCheck::new(&run.token, &child, ObjectType::Event).with_write_reading(reading);
        assert!(own.allows(ObjectType::Event.mapping().all));
    }
}

#[test]
fn objects_without_a_list_and_those_of_the_logon_session_are_open_and_the_plan_says_so() {
    let run = start(WriteReading::Wide);
    for (sddl, hole) in
        [("O:SYD:NO_ACCESS_CONTROL", Hole::NullDacl), (&*format!("O:SYD:(A;;FA;;;{LOGON})"), Hole::LogonSession)]
    {
        let object: SecurityDescriptor = sddl.parse().unwrap();
        assert!(AccessCheck::new(&run.token, &object, ObjectType::Pipe).allows(AccessMask::FILE_WRITE_DATA), "{sddl}");
        assert!(run.plan.holes.contains(&hole));
    }
}

// Everyone among the restricting SIDs opened every directory that Everyone may write, on the whole machine.
#[test]
fn everyone_opens_what_everyone_may_write_and_the_plan_lists_it() {
    for reading in [WriteReading::Reported, WriteReading::Wide] {
        let open = r"\ProgramData\open";
        let narrow = start(reading);
        assert!(!narrow.can(Action::MakeFile, open) && !narrow.can(Action::Write, r"\ProgramData\open\drop.txt"));

        let mut world = World::new("guard", reading);
        world.policy.windows.everyone.value = ringfence_policy::Everyone::Always;
        let plan = world.plan().unwrap();
        assert_eq!(plan.refusal().unwrap().code(), "not-enforced");
        let run = start_with(world, |_| {});
        let written: Vec<String> = run
            .outside()
            .into_iter()
            .filter(|(action, _)| matches!(action, Action::Write | Action::MakeFile))
            .map(|(_, path)| path)
            .collect();
        assert_eq!(written, [r"\ProgramData\open\drop.txt", open], "{reading:?}");
        let listed = Hole::EveryoneWritable { places: vec![path(r"C:\ProgramData\open")], complete: true };
        assert!(run.plan.holes.contains(&listed));
    }
}

// The same for the user's own SID, which made the user's whole profile writable.
#[test]
fn the_users_sid_in_the_list_would_void_it() {
    let run = start(WriteReading::Wide);
    let mut restricting: Restricting = run.token.restricting().unwrap().clone();
    restricting.sids.push(ANN.parse().unwrap());
    let void = run.token.to_builder().restricting(restricting).build();
    let reached = |token| succeeds(&run.world.drive, token, None, Action::Write, r"\Users\ann\.ssh\id_ed25519");
    assert!(reached(&void) && !reached(&run.token));
}

// A denial that names a restricting SID keeps nobody from reading, since the second check is not made for reads.
#[test]
fn denying_a_restricting_sid_hides_nothing() {
    let Started { mut world, token, plan } = start(WriteReading::Wide);
    let secret = r"\Users\ann\src\app\main.rs";
    let id = world.drive.find(secret).unwrap();
    let mut descriptor = world.drive.node(id).unwrap().descriptor().clone();
    let run = world.facts.identity.run;
    for sid in [run, world.facts.identity.workspace] {
        descriptor.dacl.acl_mut().add_deny(sid, AccessMask::FILE_ALL_ACCESS, Default::default()).unwrap();
    }
    world.drive.put_descriptor(id, descriptor);
    assert!(world.drive.read(&token, secret).is_ok());
    assert!(world.drive.write(&token, secret, b"x").is_err());
    assert_eq!(naming(&plan.token.default_dacl, &run).len(), 1);
}

#[test]
fn an_integrity_level_alone_neither_lets_work_nor_keeps_out() {
    let World { mut drive, .. } = World::new("guard", WriteReading::Wide);
    let low = ann().to_builder().integrity(IntegrityLevel::LOW).build();
    assert!(!succeeds(&drive, &low, None, Action::Write, r"\Users\ann\src\app\main.rs"), "the project is Medium");
    // Labelling the project would open it to every process of Low integrity, and LocalLow is open anyway.
    let open: SecurityDescriptor = format!("O:{ANN}D:(A;OICI;FA;;;{ANN})S:(ML;OICI;NW;;;LW)").parse().unwrap();
    drive.create_directory(&ann(), r"\Users\ann\AppData\LocalLow", None).unwrap();
    drive.put_descriptor(drive.find(r"\Users\ann\AppData\LocalLow").unwrap(), open);
    assert!(succeeds(&drive, &low, None, Action::MakeFile, r"\Users\ann\AppData\LocalLow"));
    assert!(!start(WriteReading::Wide).can(Action::MakeFile, r"\Users\ann\Documents"));
}

#[test]
fn an_app_container_cannot_read_the_project_or_the_tools_of_the_user() {
    let World { drive, .. } = World::new("guard", WriteReading::Wide);
    let package = "S-1-15-2-1-2-3-4-5-6-7".parse().unwrap();
    let lowbox = Lowbox { package, capabilities: Vec::new(), less_privileged: false };
    let container = ann().to_builder().integrity(IntegrityLevel::LOW).lowbox(lowbox).build();
    for file in [r"\Users\ann\src\app\main.rs", r"\Users\ann\.cargo\config.toml"] {
        assert!(drive.read(&container, file).is_err(), "{file}");
        assert!(drive.read(&ann(), file).is_ok());
    }
}

#[test]
fn a_finished_token_is_compared_with_the_plan() {
    let Started { plan, token, .. } = start(WriteReading::Reported);
    assert_eq!(plan.token.differences(&token), Vec::<String>::new());
    // What a system that ignores restricting SIDs hands back.
    assert!(!plan.token.differences(&ann()).is_empty());
    let mut wrong = plan.clone();
    everyone_in(&mut wrong);
    assert_eq!(plan.token.differences(&wrong.token.finished(&ann())).len(), 1);
    let everything = Restricting { write_only: false, ..token.restricting().unwrap().clone() };
    assert_eq!(plan.token.differences(&token.to_builder().restricting(everything).build()).len(), 1);
    let elevated = token.to_builder().integrity(IntegrityLevel::HIGH).build();
    assert_eq!(plan.token.differences(&elevated).len(), 1);
    let privileged = token.to_builder().privilege(ringfence_ntsec::Privilege::Debug).build();
    assert_eq!(plan.token.differences(&privileged).len(), 1);
    let open = ringfence_ntsec::Acl::from_aces(vec!["(A;;GA;;;WD)".parse().unwrap()]);
    assert_eq!(plan.token.differences(&token.to_builder().default_dacl(open).build()).len(), 1);
}

#[test]
fn the_logon_sid_and_everyone_are_not_in_the_default_list() {
    let Started { plan, .. } = start_with(World::new("guard", WriteReading::Reported), everyone_in);
    for sid in [well_known::EVERYONE, LOGON.parse().unwrap()] {
        assert!(naming(&plan.token.default_dacl, &sid).is_empty());
    }
}
