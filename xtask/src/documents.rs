//! Checks of the Markdown files, so that no page promises a file, a heading or a flag that is not there.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// The README is what a newcomer reads: two pages.
const README_LINES: usize = 140;

/// Fails, with every fault at once, unless all Markdown files below `root` are right:
///
/// - each relative link leads to a file, and its fragment to a heading;
/// - each `ringfence` command in a shell block fits the definition of the command line;
/// - each `console` block stands where the tests of the command line execute it;
/// - the README is not too long.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut pages = HashMap::new();
    for path in markdown_files(root)? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        pages.insert(path, Page::parse(&text));
    }
    let mut faults = Vec::new();
    for (path, page) in &pages {
        let name = path.strip_prefix(root).unwrap_or(path);
        let found = page.faults(path, name, &pages);
        faults.extend(found.into_iter().map(|(line, fault)| format!("{}:{line}: {fault}", name.display())));
    }
    if !faults.is_empty() {
        faults.sort();
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// What matters of a Markdown file. Lines count from 1.
struct Page {
    lines: usize,
    /// The fragments that links may name.
    headings: Vec<String>,
    /// Line and destination.
    links: Vec<(usize, String)>,
    /// Line, info string and content.
    code: Vec<(usize, String, String)>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self { lines: text.lines().count(), headings: Vec::new(), links: Vec::new(), code: Vec::new() };
        let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
        let mut heading: Option<String> = None;
        let mut block: Option<(usize, String, String)> = None;
        for (event, range) in Parser::new(text).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.headings.extend(heading.take().map(|text| fragment(&text))),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line_of(range.start), dest_url.into_string()));
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    block = Some((line_of(range.start), info.into_string(), String::new()));
                }
                Event::End(TagEnd::CodeBlock) => page.code.extend(block.take()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, _, content)) = &mut block {
                        content.push_str(&text);
                    } else if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }

    fn faults(&self, path: &Path, name: &Path, pages: &HashMap<PathBuf, Page>) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        for (line, link) in &self.links {
            faults.extend(link_fault(path, link, pages).map(|fault| (*line, fault)));
        }
        for (line, info, content) in &self.code {
            let mut words = info.split([' ', ',']);
            match words.next() {
                Some("console" | "trycmd") if !is_executed(name) && words.all(|word| word != "ignore") => {
                    faults.push((*line, "this console block is executed by no test".to_owned()));
                }
                Some("sh" | "bash" | "shell") => {
                    faults.extend(commands(content).filter_map(|command| Some((*line, command_fault(&command)?))))
                }
                _ => {}
            }
        }
        if name == Path::new("README.md") && self.lines > README_LINES {
            faults.push((self.lines, format!("the README may have {README_LINES} lines")));
        }
        faults
    }
}

/// Whether the tests of the command line execute the console blocks of this file: `crates/cli/tests/documents.rs`.
fn is_executed(name: &Path) -> bool {
    name == Path::new("README.md") || name.parent() == Some(Path::new("docs"))
}

fn link_fault(from: &Path, link: &str, pages: &HashMap<PathBuf, Page>) -> Option<String> {
    // A colon before any slash is a scheme: elsewhere's affair.
    if link.split('/').next().is_some_and(|start| start.contains(':')) {
        return None;
    }
    let (file, fragment) = link.split_once('#').map_or((link, None), |(file, fragment)| (file, Some(fragment)));
    let target = if file.is_empty() { from.to_owned() } else { normal(&from.parent()?.join(file)) };
    if !target.exists() {
        return Some(format!("the link {link} leads to nothing"));
    }
    let fragment = fragment?;
    let page = pages.get(&target)?;
    (!page.headings.iter().any(|heading| heading == fragment)).then(|| format!("the link {link} names no heading"))
}

/// Returns `path` without `.` and `..`: what a link means, whatever symbolic links there are.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut normal, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            component => normal.push(component),
        }
        normal
    })
}

/// The fragment that renderers give a heading: lower case, spaces as dashes, no punctuation.
fn fragment(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            character => character.is_alphanumeric().then_some(character),
        })
        .collect()
}

/// The simple commands of a shell block as words: lines, joined where they end in a backslash, cut at `|`, `;` and `&&`.
fn commands(content: &str) -> impl Iterator<Item = Vec<String>> {
    let lines: Vec<String> = content.replace("\\\n", " ").lines().map(str::to_owned).collect();
    lines.into_iter().flat_map(|line| {
        let line = line.trim_start().trim_start_matches("$ ").to_owned();
        let words: Vec<String> = shlex::split(&line).unwrap_or_default();
        words
            .split(|word| matches!(word.as_str(), "|" | "||" | "&&" | ";" | "&"))
            .map(|words| words.iter().skip_while(|word| word.contains('=')).cloned().collect())
            .collect::<Vec<Vec<String>>>()
    })
}

fn command_fault(words: &[String]) -> Option<String> {
    if words.first().is_none_or(|word| word != "ringfence") {
        return None;
    }
    // What the shell would take is not ours to parse.
    let words = words.iter().take_while(|word| !word.starts_with(['>', '<']) && !word.starts_with("2>"));
    let error = ringfence_cli::cli::definition().try_get_matches_from(words).err()?;
    if !error.use_stderr() {
        return None;
    }
    let text = error.to_string();
    Some(format!("the command does not fit the command line: {}", text.lines().next().unwrap_or_default()))
}

/// Every Markdown file of the repository; not those of build results.
fn markdown_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            let name = entry.file_name();
            if name != "target" && name != ".git" {
                files.extend(markdown_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_are_right() {
        check(&crate::root()).unwrap();
    }

    fn faults_of(text: &str) -> String {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(root.path().join("docs/there.md"), "# A heading, with `code`\n").unwrap();
        fs::write(root.path().join("page.md"), text).unwrap();
        check(root.path()).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn links_must_lead_somewhere() {
        assert_eq!(faults_of("[a](docs/there.md) [b](docs/there.md#a-heading-with-code) [c](#x)\n\n# X\n"), "");
        assert_eq!(faults_of("[a](https://example.com/x) [b](mailto:a@example.com)"), "");
        assert_eq!(faults_of("\n[a](docs/gone.md)"), "page.md:2: the link docs/gone.md leads to nothing");
        assert_eq!(faults_of("[a](docs/there.md#b)"), "page.md:1: the link docs/there.md#b names no heading");
    }

    #[test]
    fn commands_must_fit_the_command_line() {
        assert_eq!(
            faults_of("```sh\nringfence run --offline -- make | tee log\nA=1 ringfence log \\\n  --json > x\n```"),
            ""
        );
        let faults = faults_of("```sh\nmake && ringfence run --of -- make\n```");
        assert_eq!(
            faults,
            "page.md:1: the command does not fit the command line: error: unexpected argument '--of' found"
        );
    }

    #[test]
    fn console_blocks_must_be_executed() {
        assert_eq!(faults_of("```console,ignore\n$ true\n```"), "");
        assert_eq!(faults_of("```console\n$ true\n```"), "page.md:1: this console block is executed by no test");
    }
}
