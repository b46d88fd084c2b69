//! The chain of policies that extend each other.

use std::path::{Component, Path, PathBuf};

use crate::anchor::Anchors;
use crate::document::Located;
use crate::error::PolicyError;
use crate::layer::Layer;
use crate::load::{Files, PolicySource};
use crate::origin::Origin;
use crate::parse::parse;
use crate::profile::{self, PROFILES};
use crate::source::{Author, Source};
use crate::value_error::nearest;
use crate::{MAX_FILE_SIZE, policy::Policy};

/// Reads a policy and everything that it extends. The anchors must be [normal](Anchors::normal).
pub(crate) fn read_chain(
    start: &PolicySource,
    managed: bool,
    anchors: &Anchors,
    files: &dyn Files,
) -> Result<Policy, PolicyError> {
    let mut source = match start {
        PolicySource::Profile(name) => find_profile(name, managed, None)?,
        PolicySource::File(path) => read_file(path, managed, None, files)?,
    };
    let profile = source.name();
    let mut chain: Vec<Source> = Vec::new();
    let mut layers: Option<Layer> = None;
    loop {
        let document = parse(&source)?;
        let layer = Layer::read(&source, &document, anchors)?;
        layers = Some(match layers {
            Some(upper) => upper.over(layer),
            None => layer,
        });
        let next = match &document.extends {
            Some(extends) => follow(extends, &source, &chain, managed, anchors, files)?,
            None => match (&source.author, managed) {
                (Author::Builtin(_), _) => break,
                (Author::File { .. }, false) => find_profile(profile::DEFAULT, managed, None)?,
                (Author::File { .. }, true) => find_profile(profile::UNRESTRICTED, managed, None)?,
            },
        };
        chain.push(std::mem::replace(&mut source, next));
    }
    Ok(layers.unwrap_or_default().into_policy(profile, anchors))
}

/// Enough for a company's, a team's and a project's policy, with room.
const MAX_DEPTH: usize = 16;

fn follow(
    extends: &Located<String>,
    source: &Source,
    chain: &[Source],
    managed: bool,
    anchors: &Anchors,
    files: &dyn Files,
) -> Result<Source, PolicyError> {
    let at = source.origin(extends.span().start);
    let text = extends.value();
    let author = if is_path(text) {
        Author::File { path: beside(text, source, anchors), managed }
    } else {
        let (name, _) = known_profile(text, managed, Some(&at))?;
        Author::Builtin(name)
    };
    if let Some(first) = chain.iter().chain([source]).position(|seen| same_text(&seen.author, &author)) {
        let names = chain.iter().chain([source]).skip(first).map(Source::name);
        let closing = chain.iter().chain([source]).nth(first).map(Source::name);
        return Err(PolicyError::ExtendsCycle { at, chain: names.chain(closing).collect() });
    }
    // Links can make a circle of ever new names.
    if chain.len() + 2 > MAX_DEPTH {
        return Err(PolicyError::ExtendsTooDeep { at, limit: MAX_DEPTH });
    }
    match author {
        Author::Builtin(name) => find_profile(name, managed, Some(&at)),
        Author::File { path, .. } => read_file(&path, managed, Some(at), files),
    }
}

fn is_path(text: &str) -> bool {
    text.contains(['/', '\\']) || text.starts_with(['.', '~']) || text.ends_with(".toml")
}

fn beside(text: &str, source: &Source, anchors: &Anchors) -> PathBuf {
    if let (Some(below), Some(home)) = (text.strip_prefix("~/"), &anchors.home) {
        return home.join(below);
    }
    let text = text.strip_prefix("./").unwrap_or(text);
    let Author::File { path, .. } = &source.author else {
        return PathBuf::from(text);
    };
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !Path::new(text).has_root() => {
            // Not `join`: messages name a file in the same way on every system.
            let mut beside = parent.as_os_str().to_owned();
            beside.push("/");
            beside.push(text);
            beside.into()
        }
        _ => PathBuf::from(text),
    }
}

fn same_text(a: &Author, b: &Author) -> bool {
    match (a, b) {
        (Author::File { path: a, .. }, Author::File { path: b, .. }) => lexical(a) == lexical(b),
        _ => a == b,
    }
}

/// The path without `.` and with `..` taken back where that is possible.
fn lexical(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            _ => normal.push(component),
        }
    }
    normal
}

fn known_profile(name: &str, managed: bool, at: Option<&Origin>) -> Result<(&'static str, &'static str), PolicyError> {
    profile::find(name, managed).ok_or_else(|| PolicyError::UnknownProfile {
        at: at.cloned(),
        name: name.to_owned(),
        suggestion: nearest(name, PROFILES),
        known: PROFILES,
    })
}

fn find_profile(name: &str, managed: bool, at: Option<&Origin>) -> Result<Source, PolicyError> {
    known_profile(name, managed, at).map(|(name, text)| Source::builtin(name, text))
}

fn read_file(path: &Path, managed: bool, at: Option<Origin>, files: &dyn Files) -> Result<Source, PolicyError> {
    let bytes = files.read(path).map_err(|error| PolicyError::Read {
        at,
        path: path.to_owned(),
        kind: error.kind(),
        message: error.to_string(),
    })?;
    if bytes.len() > MAX_FILE_SIZE {
        return Err(PolicyError::TooLarge { path: path.to_owned(), size: bytes.len(), limit: MAX_FILE_SIZE });
    }
    Source::file(path, managed, bytes)
}
