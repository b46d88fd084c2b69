//! Facts of another machine, from a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ringfence::facts::WindowsFacts;
use ringfence::{Facts, Invocation, Plan};
use ringfence_policy::{Anchors, System};

use crate::cli;
use crate::failure::Failure;
use crate::request;

/// The largest file of facts that is read, in bytes; that of a machine with thousands of protected paths is smaller.
const MAX_FILE_SIZE: u64 = 16 << 20;

/// The plan that the machine of the facts would make.
pub(crate) fn plan(arguments: &cli::Plan, file: &Path) -> Result<Plan, Failure> {
    let facts = windows(file)?;
    let anchors = Anchors {
        workspace: facts.survey.workspace.path.to_path_buf(),
        home: Some(facts.caller.directories.profile.to_path_buf()),
        system: System::Windows,
    };
    let policy = request::policy_elsewhere(&arguments.boundary, &anchors)?;
    let invocation = Invocation {
        argv: arguments.target.argv.clone(),
        workspace: anchors.workspace,
        directory: facts.survey.directory.to_path_buf(),
        environment: facts.caller.directories.variables(),
        tty: arguments.start.tty,
        ask: arguments.start.ask,
        keep_descriptors: arguments.start.keep_fd.clone(),
        mechanism: super::run::mechanism(arguments.start.mechanism),
    };
    Ok(Plan::resolve(&policy, &Facts::Windows(Box::new(facts)), &invocation)?)
}

/// The facts of a Windows machine.
pub(crate) fn windows(file: &Path) -> Result<WindowsFacts, Failure> {
    let unusable = |problem: String| Failure::Facts { path: file.to_owned(), problem };
    let mut content = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_FILE_SIZE + 1).read_to_end(&mut content))
        .map_err(|error| unusable(error.to_string()))?;
    if content.len() as u64 > MAX_FILE_SIZE {
        return Err(unusable("the file is larger than 16 MiB".into()));
    }
    match serde_json::from_slice(&content) {
        Ok(Facts::Windows(facts)) => Ok(*facts),
        Ok(Facts::Linux(_)) => Err(unusable("they are of a Linux machine; use them there".into())),
        Err(error) => Err(unusable(format!("{error}; write them with `ringfence plan --save-facts`"))),
    }
}

/// Writes facts as they can be read again.
pub(crate) fn save(facts: &Facts, file: &Path) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(facts).map_err(|source| Failure::Encode { source })?;
    text.push('\n');
    std::fs::write(file, text).map_err(|source| Failure::WriteFile { path: file.to_owned(), source })
}
