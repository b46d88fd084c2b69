//! `ringfence doctor`: what this machine can enforce.

use crate::status::Status;

use ringfence::FactRow;

use super::{print, print_json, recorded};
use crate::cli::Doctor;
use crate::failure::Failure;
use crate::page::{BAD, Cell, GOOD, Table};

/// Looks at the host anew, whatever earlier runs found, and prints every finding with its reason.
pub(crate) fn doctor(arguments: &Doctor) -> Result<Status, Failure> {
    if let Some(file) = &arguments.facts {
        let facts = recorded::windows(file)?;
        match arguments.json {
            true => print_json(&facts)?,
            false => print(&page(&facts.rows()))?,
        }
        return Ok(Status::SUCCESS);
    }
    let facts = measure()?;
    if arguments.json {
        print_json(&facts)?;
    } else {
        print(&page(&facts.rows()))?;
    }
    Ok(Status::SUCCESS)
}

#[cfg(not(windows))]
fn measure() -> Result<ringfence::HostFacts, Failure> {
    Ok(ringfence::HostFacts::probe())
}

#[cfg(windows)]
fn measure() -> Result<ringfence::facts::windows::WindowsHost, Failure> {
    Ok(ringfence::facts::windows::WindowsHost::measure(&ringfence::State::open()?)?)
}

fn page(rows: &[FactRow]) -> String {
    let mut table = Table::default();
    for row in rows {
        let (word, style) = if row.available { ("yes", GOOD) } else { ("no", BAD) };
        table.row([Cell::new(row.name), Cell::new(word).style(style), Cell::new(&row.detail)]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_no_has_its_reason_beside_it() {
        let row = |name, available, detail: &str| FactRow { name, available, detail: detail.to_owned() };
        let page = page(&[row("seccomp", true, "filters"), row("namespaces", false, "user.max_user_namespaces is 0")]);
        let page = anstream::adapter::strip_str(&page).to_string();
        assert_eq!(page, "seccomp     yes  filters\nnamespaces  no   user.max_user_namespaces is 0\n");
    }
}
