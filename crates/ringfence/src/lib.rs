//! Runs commands that nobody has reviewed, held by the operating system.
//!
//! One direction: a policy says what may happen, facts say what this host can enforce, a plan is everything that the
//! operating system will be asked to do, a run is the plan carried out, and a receipt says what happened.

#[cfg(any(target_os = "linux", windows))]
mod egress;
pub mod environment;
mod error;
pub mod facts;
#[cfg(any(target_os = "linux", windows))]
mod git;
pub mod grants;
mod host;
mod invocation;
#[cfg(target_os = "linux")]
mod linux;
pub mod plan;
pub mod receipt;
mod run;
mod state;
pub mod survey;
mod syscalls;
mod text;
pub mod windows;

pub use error::Error;
pub use facts::{FactRow, Facts, HostFacts, LinuxFacts, WindowsFacts};
pub use invocation::{Invocation, MechanismChoice};
pub use plan::{Holds, Plan, PlannedRule};
pub use receipt::{Exit, Receipt};
pub use ringfence_egress as proxy;
pub use run::{Ahead, Company, Run};
pub use state::State;
pub use text::Text;
