//! Adds up what a process tree uses, where no control group limits it.

use std::collections::BTreeMap;

/// What a tree uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sample {
    /// Resident memory that is not shared with files, in bytes.
    pub(super) memory: u64,
    /// Processes and threads, without the process at the top.
    pub(super) processes: u64,
}

/// Measures everything that descends from a process, without it.
pub(super) fn measure(top: i32) -> Sample {
    let table = processes();
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, entry) in &table {
        children.entry(entry.parent).or_default().push(*pid);
    }
    let mut sample = Sample::default();
    let mut open = children.get(&top).cloned().unwrap_or_default();
    while let Some(pid) = open.pop() {
        if let Some(entry) = table.get(&pid) {
            sample.processes += entry.threads;
            sample.memory += private_memory(pid);
        }
        open.extend(children.get(&pid).into_iter().flatten());
    }
    sample
}

struct Entry {
    parent: i32,
    threads: u64,
}

fn processes() -> BTreeMap<i32, Entry> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, parse(&std::fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect()
}

/// Fields 4 and 20 of `/proc/PID/stat` (proc_pid_stat(5)); the name in field 2 may contain anything, so fields are
/// counted from its end.
fn parse(stat: &str) -> Option<Entry> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let threads = fields.nth(15)?.parse().ok()?;
    Some(Entry { parent, threads })
}

/// Resident pages minus those of files and shared memory (proc_pid_statm(5)).
fn private_memory(pid: i32) -> u64 {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/statm")) else {
        return 0;
    };
    let mut fields = text.split_whitespace().skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
    let (resident, shared) = (fields.next().unwrap_or(0), fields.next().unwrap_or(0));
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    resident.saturating_sub(shared) * page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "12 (a) b (c) S 7 12 12 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 3 0 99 0 0";
        let entry = parse(line).unwrap();
        assert_eq!((entry.parent, entry.threads), (7, 3));
    }

    #[test]
    fn a_child_counts_and_its_memory_too() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let sample = measure(own);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(sample.processes >= 1, "{sample:?}");
        assert!(sample.memory > 0, "{sample:?}");
    }
}
