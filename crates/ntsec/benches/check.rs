//! The numbers of docs/ntsec.md.

fn main() {}
