//! `ringfence grants`: what was changed on disk, and its undoing.

use crate::status::Status;
use std::sync::atomic::AtomicBool;

use ringfence::State;
use ringfence::grants::{Which, list, revoke};
use ringfence::windows::grants::{Control, Listed, Revoked};
use ringfence::windows::ledger::{Progress, Skipped};
use ringfence::windows::path::WindowsPath;

use super::{print, print_json};
use crate::cli::{self, GrantsAction, GrantsRevoke};
use crate::failure::Failure;
use crate::page::{BAD, Cell, GOOD, QUIET, Table, WARNING, plain};
use crate::progress::Meter;

/// Lists grants or takes them back; the exit status is 1 if something could not be taken back.
pub(crate) fn grants(arguments: &cli::Grants) -> Result<Status, Failure> {
    match &arguments.action {
        GrantsAction::List => show(arguments.json),
        GrantsAction::Revoke(which) => take_back(which, arguments.json),
    }
}

fn show(json: bool) -> Result<Status, Failure> {
    let listed = list(&State::open()?)?;
    if json {
        print_json(&listed)?;
    } else {
        print(&page(&listed))?;
    }
    Ok(Status::SUCCESS)
}

fn take_back(arguments: &GrantsRevoke, json: bool) -> Result<Status, Failure> {
    let which = match &arguments.path {
        None => Which::All,
        Some(path) => {
            // Ledgers have the path that the root really has; one that is gone has only the path that it is given.
            let real = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
            Which::At(real.map_err(|source| Failure::CurrentDirectory { source })?)
        }
    };
    let meter = Meter::on_stderr("taking back permissions");
    let never = AtomicBool::new(false);
    let revoked =
        revoke(&State::open()?, &which, &Control { progress: &|progress| meter.show(progress), interrupted: &never });
    meter.finish();
    let revoked = revoked?;
    if json {
        print_json(&revoked)?;
    } else {
        print(&outcome(&revoked))?;
    }
    Ok(Status::from(u8::from(revoked.iter().any(|revoked| !revoked.remaining.is_empty()))))
}

fn page(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "nothing is granted\n".into();
    }
    let mut table = Table::default();
    table.heads(["State", "Root", "Objects", "SID"]);
    for grant in listed {
        let state = match grant.progress {
            Progress::Complete(_) => Cell::new("complete").style(GOOD),
            Progress::Unfinished => Cell::new("unfinished").style(WARNING),
            Progress::Revoking => Cell::new("being taken back").style(WARNING),
        };
        let sid = Cell::new(grant.sid.to_string()).style(QUIET);
        table.row([state, Cell::new(root(&grant.root)), Cell::new(grant.edited.to_string()).right(), sid]);
        for skipped in &grant.skipped {
            table.row(["".into(), Cell::new(left(skipped)).style(WARNING), "".into(), "".into()]);
        }
        if grant.damaged > 0 {
            let text = format!("{} lines of its ledger are damaged", grant.damaged);
            table.row(["".into(), Cell::new(text).style(WARNING), "".into(), "".into()]);
        }
    }
    table.render()
}

fn outcome(revoked: &[Revoked]) -> String {
    if revoked.is_empty() {
        return "nothing was granted there\n".into();
    }
    let mut text = String::new();
    for grant in revoked {
        let root = plain(&root(&grant.root));
        if grant.remaining.is_empty() {
            text += &format!("{GOOD}taken back{GOOD:#}  {root}  {} objects\n", grant.edited);
        } else {
            text += &format!("{BAD}not all taken back{BAD:#}  {root}  {} objects, run it again for:\n", grant.edited);
        }
        for skipped in grant.remaining.iter().chain(&grant.unseen) {
            text += &format!("  {}\n", plain(&left(skipped)));
        }
    }
    text
}

fn root(root: &Option<WindowsPath>) -> String {
    root.as_ref().map_or_else(|| "(its path is lost; it is found by its id)".into(), ToString::to_string)
}

fn left(skipped: &Skipped) -> String {
    let path = if skipped.path.is_empty() { "the root" } else { &skipped.path };
    format!("{path}: {}", skipped.why)
}

#[cfg(test)]
mod tests {
    use ringfence::windows::ledger::Why;

    use super::*;

    fn listed() -> Listed {
        Listed {
            sid: "S-1-5-21-1-2-3-3735000001".parse().unwrap(),
            object: "0000000000000001:00000000000000000000000000000002".to_owned().try_into().unwrap(),
            root: Some(WindowsPath::parse(r"C:\work").unwrap()),
            progress: Progress::Unfinished,
            edited: 1234,
            skipped: vec![Skipped { path: r"a\b".into(), why: Why::HardLink { links: 2 } }],
            damaged: 1,
        }
    }

    fn revoked(remaining: Vec<Skipped>) -> Revoked {
        let Listed { sid, object, .. } = listed();
        Revoked { sid, object, root: None, edited: 3, remaining, unseen: Vec::new() }
    }

    #[test]
    fn a_list_names_what_was_left_alone() {
        let text = anstream::adapter::strip_str(&page(&[listed()])).to_string();
        assert!(text.contains(r"C:\work") && text.contains("unfinished"), "{text}");
        assert!(text.contains(r"a\b: it has 2 names, some of them outside"), "{text}");
        assert!(text.contains("1 lines of its ledger are damaged"), "{text}");
        assert_eq!(page(&[]), "nothing is granted\n");
    }

    #[test]
    fn what_could_not_be_taken_back_is_said() {
        let strip = |text: &str| anstream::adapter::strip_str(text).to_string();
        let whole = strip(&outcome(&[revoked(Vec::new())]));
        assert!(whole.starts_with("taken back") && whole.contains("3 objects"), "{whole}");
        let remaining = vec![Skipped { path: String::new(), why: Why::Denied }];
        let rest = strip(&outcome(&[revoked(remaining)]));
        assert!(rest.contains("not all taken back") && rest.contains("the root: you may not"), "{rest}");
        assert_eq!(outcome(&[]), "nothing was granted there\n");
    }

    #[test]
    fn the_json_is_made_of_words_that_programs_can_rely_on() {
        let json = serde_json::to_value(listed()).unwrap();
        assert_eq!(json["progress"], "unfinished");
        assert_eq!(json["skipped"][0]["why"]["reason"], "hard-link");
        assert_eq!(json["root"], r"C:\work");
    }
}
