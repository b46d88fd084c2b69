//! The work that people do, done inside: a repository, a Rust crate, a Python suite and a C program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail this way; it has its own main, so clippy does not see it"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use libtest_mimic::{Completion, Failed};
use support::{Case, Ground, Place, expect_status, run_cases, show, skip, stdout};

type Outcome = Result<Completion, Failed>;

const DONE: Outcome = Ok(Completion::Completed);

fn main() -> ExitCode {
    let cases: &[(&'static str, Case)] = &[
        ("git_adds_commits_branches_and_fetches", git_adds_commits_branches_and_fetches),
        ("git_works_in_a_linked_worktree", git_works_in_a_linked_worktree),
        ("git_works_in_a_submodule", git_works_in_a_submodule),
        ("git_makes_a_worktree", git_makes_a_worktree),
        ("git_cannot_be_taught_to_run_something_later", git_cannot_be_taught_to_run_something_later),
        ("a_crate_of_this_project_builds_and_passes_its_tests", a_crate_of_this_project_builds_and_passes_its_tests),
        ("a_python_suite_passes", a_python_suite_passes),
        ("a_c_program_builds_and_runs", a_c_program_builds_and_runs),
    ];
    run_cases(cases)
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

// Repositories.

/// Runs git outside, as the place's user, and expects it to work.
fn git(place: &Place, directory: &Path, arguments: &[&str]) -> Output {
    let mut command = place.command("git");
    // Submodules and fetches from a path of this machine are what is tested; newer versions ask for a permission.
    command.current_dir(directory).args(["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"]);
    let output = command.args(arguments).output().unwrap();
    expect_status(&output, 0);
    output
}

/// A repository with one commit, at that path below the place.
fn repository(place: &Place, relative: &str) -> PathBuf {
    place.write(
        "home/.gitconfig",
        "[user]\n\tname = Test\n\temail = test@example.com\n[protocol \"file\"]\n\tallow = always\n",
    );
    place.write(format!("{relative}/first"), "first\n");
    let directory = place.path().join(relative);
    git(place, &directory, &["init", "--quiet"]);
    git(place, &directory, &["add", "."]);
    git(place, &directory, &["commit", "--quiet", "-m", "First"]);
    directory
}

/// Everything that makes git run something, as it is on disk.
fn hooks_and_config(repository: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = vec![(repository.join("config"), fs::read(repository.join("config")).unwrap_or_default())];
    for entry in fs::read_dir(repository.join("hooks")).into_iter().flatten().flatten() {
        found.push((entry.path(), fs::read(entry.path()).unwrap_or_default()));
    }
    found.sort();
    found
}

fn log(place: &Place, directory: &Path) -> String {
    stdout(&git(place, directory, &["log", "--format=%s", "--all"]))
}

fn git_adds_commits_branches_and_fetches(place: &Place, _: &Ground) -> Outcome {
    if !has("git") {
        return skip("git is not installed");
    }
    let upstream = repository(place, "upstream");
    let workspace = repository(place, "home/project");
    git(place, &workspace, &["remote", "add", "origin", upstream.to_str().unwrap()]);
    let before = hooks_and_config(&workspace.join(".git"));
    let script = "set -e; echo second > second; git add .; git commit --quiet -m Second; git switch --quiet -c topic; \
                  echo third > third; git add .; git commit --quiet -m Third; git switch --quiet main; \
                  git merge --quiet --no-edit topic; git branch -d topic; git tag v1; git fetch --quiet origin; \
                  git stash list; git gc --quiet; git status --short";
    let output = place.run(&[], script);
    expect_status(&output, 0);
    let log = log(place, &workspace);
    assert!(log.contains("Second") && log.contains("Third"), "{log}");
    git(place, &workspace, &["rev-parse", "--verify", "origin/main"]);
    git(place, &workspace, &["fsck", "--strict"]);
    assert_eq!(hooks_and_config(&workspace.join(".git")), before);
    DONE
}

fn git_works_in_a_linked_worktree(place: &Place, _: &Ground) -> Outcome {
    if !has("git") {
        return skip("git is not installed");
    }
    let main = repository(place, "home/main");
    let workspace = place.workspace();
    git(place, &main, &["worktree", "add", "--quiet", "--force", "-b", "linked", workspace.to_str().unwrap()]);
    let before = hooks_and_config(&main.join(".git"));
    let gitfile = fs::read(workspace.join(".git"))?;
    let output = place.run(&[], "echo second > second && git add . && git commit --quiet -m Second");
    expect_status(&output, 0);
    assert!(log(place, &main).contains("Second"));
    let planted = place.run(&[], "echo planted > \"$(git rev-parse --git-common-dir)/hooks/pre-commit\"");
    assert!(!planted.status.success(), "{}", show(&planted));
    assert_eq!(hooks_and_config(&main.join(".git")), before);
    assert_eq!(fs::read(workspace.join(".git"))?, gitfile);
    assert!(!place.run(&[], "echo 'gitdir: /nowhere' > .git").status.success());
    assert_eq!(fs::read(workspace.join(".git"))?, gitfile);
    DONE
}

fn git_works_in_a_submodule(place: &Place, _: &Ground) -> Outcome {
    if !has("git") {
        return skip("git is not installed");
    }
    let library = repository(place, "library");
    let workspace = repository(place, "home/project");
    git(place, &workspace, &["submodule", "--quiet", "add", library.to_str().unwrap(), "sub"]);
    git(place, &workspace, &["commit", "--quiet", "-m", "Submodule"]);
    let module = workspace.join(".git/modules/sub");
    let before = (hooks_and_config(&module), fs::read(workspace.join("sub/.git"))?);
    let script = "set -e; cd sub; echo second > second; git add .; git commit --quiet -m InSub; git fetch --quiet; \
                  cd ..; git add sub; git commit --quiet -m Bump";
    expect_status(&place.run(&[], script), 0);
    assert!(log(place, &workspace.join("sub")).contains("InSub"));
    assert!(log(place, &workspace).contains("Bump"));
    for plant in
        ["echo x > .git/modules/sub/hooks/pre-commit", "echo x >> .git/modules/sub/config", "echo x > sub/.git"]
    {
        let output = place.run(&[], plant);
        assert!(!output.status.success(), "{plant}: {}", show(&output));
    }
    assert_eq!((hooks_and_config(&module), fs::read(workspace.join("sub/.git"))?), before);
    DONE
}

fn git_makes_a_worktree(place: &Place, _: &Ground) -> Outcome {
    if !has("git") {
        return skip("git is not installed");
    }
    let workspace = repository(place, "home/project");
    let before = hooks_and_config(&workspace.join(".git"));
    let script = "set -e; git worktree add --quiet -b side trees/side; cd trees/side; echo side > side; git add .; \
                  git commit --quiet -m Side; git worktree list; git status";
    expect_status(&place.run(&[], script), 0);
    assert!(log(place, &workspace).contains("Side"));
    assert_eq!(hooks_and_config(&workspace.join(".git")), before);
    DONE
}

fn git_cannot_be_taught_to_run_something_later(place: &Place, _: &Ground) -> Outcome {
    if !has("git") {
        return skip("git is not installed");
    }
    let workspace = repository(place, "home/project");
    let before = hooks_and_config(&workspace.join(".git"));
    for plant in [
        "git config core.hooksPath evil",
        "git config core.fsmonitor ./evil",
        "git config alias.st '!./evil'",
        "echo evil > .git/hooks/post-checkout",
        "mv .git/hooks .git/away",
        "mv .git away && git init --quiet",
    ] {
        let output = place.run(&[], plant);
        assert!(!output.status.success(), "{plant}: {}", show(&output));
        assert_eq!(hooks_and_config(&workspace.join(".git")), before, "{plant}");
    }
    // The control: outside, each of them is a matter of course.
    git(place, &workspace, &["config", "core.hooksPath", "evil"]);
    assert_ne!(hooks_and_config(&workspace.join(".git")), before);
    DONE
}

// Toolchains.

/// The crate that is built: one with dependencies from the registry, yet small enough for every run of the suite.
const CRATE: &str = "ringfence-ntsec";

fn a_crate_of_this_project_builds_and_passes_its_tests(place: &Place, _: &Ground) -> Outcome {
    let cargo = PathBuf::from(env!("CARGO"));
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(|| home().join(".cargo"), PathBuf::from);
    let readable = place.command("test").arg("-x").arg(&cargo).arg("-a").arg("-r").arg(&cargo_home).status()?;
    if !readable.success() {
        return skip(format!("the toolchain is in {}, which this user may not read", cargo.display()));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).ok_or("no workspace above this crate")?;
    for part in ["Cargo.toml", "Cargo.lock", "crates", "xtask"] {
        copy(&root.join(part), &place.workspace().join(part));
    }
    place.give_all();
    let before = names(&cargo_home);
    let mut command = place.ringfence(["run", "--quiet", "--"]);
    let output = command
        .arg(&cargo)
        .args(["test", "--offline", "--locked", "--package", CRATE])
        .env("CARGO_HOME", &cargo_home)
        .env("RUSTUP_HOME", std::env::var_os("RUSTUP_HOME").map_or_else(|| home().join(".rustup"), PathBuf::from))
        .output()?;
    expect_status(&output, 0);
    assert!(stdout(&output).contains("test result: ok."), "{}", show(&output));
    assert!(place.workspace().join("target/debug").exists());
    assert_eq!(names(&cargo_home), before, "the run left something in cargo's home");
    // The toolchain was readable and must not have been writable.
    let planted = cargo_home.join("planted");
    let output = place.run(&[], &format!("echo x > {}", planted.display()));
    assert!(!output.status.success() && !planted.exists(), "{}", show(&output));
    DONE
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default()
}

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten().filter(|entry| entry.file_name() != "target") {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// What test suites do: files, temporary directories, subprocesses, threads, a database, sockets, a pool of processes.
const PYTHON_SUITE: &str = r"
import json, multiprocessing, os, pathlib, socket, sqlite3, subprocess, sys, tempfile, threading, unittest

def square(number):
    return number * number

class Suite(unittest.TestCase):
    def test_files(self):
        path = pathlib.Path('made.json')
        path.write_text(json.dumps({'a': 1}))
        self.assertEqual(json.loads(path.read_text()), {'a': 1})

    def test_temporary_directory(self):
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, 'file').write_text('x')

    def test_subprocess(self):
        self.assertEqual(subprocess.check_output([sys.executable, '-c', 'print(1)']), b'1\n')

    def test_thread(self):
        seen = []
        thread = threading.Thread(target=lambda: seen.append(1))
        thread.start(); thread.join()
        self.assertEqual(seen, [1])

    def test_database(self):
        database = sqlite3.connect('made.db')
        database.execute('create table t (a)')
        database.execute('insert into t values (1)')
        database.commit()
        self.assertEqual(database.execute('select a from t').fetchall(), [(1,)])

    def test_loopback(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            with socket.create_connection(server.getsockname()):
                pass

    def test_unix_socket(self):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind('made.sock'); server.listen()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect('made.sock')

    def test_pool(self):
        with multiprocessing.Pool(2) as pool:
            self.assertEqual(pool.map(square, range(4)), [0, 1, 4, 9])

    def test_no_way_out(self):
        with self.assertRaises(OSError):
            pathlib.Path(os.environ['HOME'], 'made').write_text('x')

if __name__ == '__main__':
    unittest.main()
";

fn a_python_suite_passes(place: &Place, _: &Ground) -> Outcome {
    let Some(python) = support::python() else {
        return skip("there is no python3 that every user can start");
    };
    place.write("home/project/suite.py", PYTHON_SUITE);
    // The control: outside, the one test that expects to be held is the one that fails.
    let outside = place.command(python).args(["suite.py", "Suite.test_no_way_out"]).output()?;
    assert!(!outside.status.success(), "{}", show(&outside));
    let output = place.ringfence(["run", "--quiet", "--"]).arg(python).args(["-m", "unittest", "suite"]).output()?;
    expect_status(&output, 0);
    DONE
}

fn a_c_program_builds_and_runs(place: &Place, _: &Ground) -> Outcome {
    if !has("make") || !has("cc") {
        return skip("make and cc are not installed");
    }
    place.write(
        "home/project/Makefile",
        "all: sum\n\t./sum 1 2 > result\nsum: main.o add.o\n\tcc -o $@ $^\n%.o: %.c add.h\n\tcc -O2 -Wall -Werror -c $<\n",
    );
    place.write("home/project/add.h", "int add(int, int);\n");
    place.write("home/project/add.c", "#include \"add.h\"\nint add(int a, int b) { return a + b; }\n");
    place.write(
        "home/project/main.c",
        "#include <stdio.h>\n#include <stdlib.h>\n#include \"add.h\"\n\
         int main(int n, char **v) { if (n < 3) return 1; printf(\"%d\\n\", add(atoi(v[1]), atoi(v[2]))); return 0; }\n",
    );
    expect_status(&place.run(&[], "make -j2"), 0);
    assert_eq!(fs::read_to_string(place.workspace().join("result"))?, "3\n");
    DONE
}
