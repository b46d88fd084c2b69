//! The simulated host: the engine of the grants against a volume in memory, with several threads, failing calls, crashes,
//! and somebody who works against it. Every choice comes from a seed, so that a schedule that fails can be repeated.

mod adversary;
mod count;
mod endless;
mod host;
mod overlaps;
mod random;
mod refusals;
mod scene;
mod schedules;
mod turns;
