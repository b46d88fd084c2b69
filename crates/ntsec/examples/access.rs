//! Answers "may this token do that to this object?" and says why.
//!
//! ```text
//! cargo run -p ringfence-ntsec --example access -- TOKEN-FILE SDDL [RIGHTS] [TYPE] [READING]
//! ```
//!
//! - TOKEN-FILE: a description as `Token` reads it (`user …`, `group …`, `restricting …`), or the output of
//!   `whoami /user /groups /priv /fo csv /nh` with `restricting` lines added; `-` for standard input.
//! - RIGHTS: names or a number, joined by `|`, `FR`-like aliases excluded; default MAXIMUM_ALLOWED.
//! - TYPE: file, directory, key, process, …; default file.
//! - READING: narrow, reported, wide, or all (default) for write-restricted tokens.

use std::io::Read;
use std::process::ExitCode;

use ringfence_ntsec::{AccessCheck, AccessMask, ObjectType, SecurityDescriptor, Token, WriteReading};

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("access: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<String, String> {
    let [token, sddl, rest @ ..] = arguments else {
        return Err("usage: access TOKEN-FILE SDDL [RIGHTS] [TYPE] [READING]".to_owned());
    };
    let option = |place: usize, default: &'static str| rest.get(place).map_or(default, String::as_str);
    let kind = ObjectType::from_name(option(1, "file")).ok_or("unknown object type")?;
    let desired = rights(option(0, "MAXIMUM_ALLOWED"), kind)?;
    let token: Token = read(token)?.parse().map_err(|error| format!("token: {error}"))?;
    let descriptor: SecurityDescriptor = sddl.parse().map_err(|error| format!("SDDL: {error}"))?;
    let readings = match option(2, "all") {
        "all" => WriteReading::ALL.to_vec(),
        name => vec![WriteReading::from_name(name).ok_or("unknown reading: narrow, reported, wide or all")?],
    };
    let check = AccessCheck::new(&token, &descriptor, kind);
    let is_write_restricted = token.restricting().is_some_and(|restricting| restricting.write_only);
    if !is_write_restricted {
        return Ok(check.explain(desired).to_string());
    }
    let answers = readings.into_iter().map(|reading| {
        let explanation = check.with_write_reading(reading).explain(desired);
        format!("write-restricted, {} reading: {explanation}", reading.name())
    });
    Ok(answers.collect())
}

fn read(path: &str) -> Result<String, String> {
    if path != "-" {
        return std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
    Ok(text)
}

fn rights(text: &str, kind: ObjectType) -> Result<AccessMask, String> {
    text.split('|').map(str::trim).try_fold(AccessMask::NONE, |mask, word| {
        let number = word.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let right = number.map(AccessMask).or_else(|| kind.right_named(word));
        right.map(|right| mask | right).ok_or(format!("`{word}` is no right of a {}", kind.name()))
    })
}
