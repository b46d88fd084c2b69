//! The calls of the Windows API: thin, owned handles, and the only unsafe code of the Windows side.
//!
//! Nothing here decides anything. What is handed in is data that a pure function made, and what is handed out is data
//! that a pure function judges.

mod call;
pub(crate) mod console;
pub(crate) mod desktop;
pub(crate) mod disk;
pub(crate) mod event;
pub(crate) mod files;
pub(crate) mod folders;
pub(crate) mod host;
pub(crate) mod job;
pub(crate) mod object;
pub(crate) mod process;
pub(crate) mod security;
pub(crate) mod stdio;
pub(crate) mod token;
