//! Threads of which exactly one runs at any time. Who goes on is decided at each call, by the seed.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard};
use std::thread::Thread;

use super::random::Random;

#[derive(Debug)]
pub(super) struct Turns {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: Random,
    /// By number: the thread, once it is there, and whether it takes part.
    threads: Vec<(Option<Thread>, bool)>,
    current: usize,
}

/// How often in a thousand calls another thread goes on.
const SWITCHES: usize = 300;

thread_local! {
    /// The number of this thread; the one that makes the host is the first.
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

impl Turns {
    pub(super) fn new(seed: u64) -> Self {
        let first = (Some(std::thread::current()), true);
        Self { state: Mutex::new(State { random: Random::new(seed), threads: vec![first], current: 0 }) }
    }

    /// Runs all tasks, each on a thread of its own, and returns when all are done.
    pub(super) fn run<'t>(&self, tasks: Vec<Box<dyn FnOnce() + Send + 't>>) {
        if tasks.is_empty() {
            return;
        }
        let parent = NUMBER.get();
        let numbers: Vec<usize> = {
            let mut state = self.state();
            let first = state.threads.len();
            state.threads.extend(tasks.iter().map(|_| (None, true)));
            (first..state.threads.len()).collect()
        };
        let left = Mutex::new(numbers.len());
        std::thread::scope(|scope| {
            for (task, number) in tasks.into_iter().zip(&numbers) {
                let left = &left;
                scope.spawn(move || {
                    NUMBER.set(*number);
                    self.state().threads[*number].0 = Some(std::thread::current());
                    self.wait_for(*number);
                    // A panic must hand the turn on as well, or everybody waits for ever.
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
                    let mut left = left.lock().unwrap();
                    *left -= 1;
                    self.leave(*number, (*left == 0).then_some(parent));
                    drop(left);
                    if let Err(panic) = result {
                        std::panic::resume_unwind(panic);
                    }
                });
            }
            self.leave(parent, None);
            self.wait_for(parent);
        });
    }

    /// Lets the seed decide who goes on; returns when it is this thread's turn again.
    pub(super) fn take(&self) {
        let number = NUMBER.get();
        let mut state = self.state();
        if state.threads.iter().filter(|(_, takes_part)| *takes_part).count() > 1 && state.random.happens(SWITCHES) {
            state.pass_on();
            drop(state);
            self.wait_for(number);
        }
    }

    /// Takes no part any more, until somebody says so; `instead` does again.
    fn leave(&self, number: usize, instead: Option<usize>) {
        let mut state = self.state();
        state.threads[number].1 = false;
        if let Some(instead) = instead {
            state.threads[instead].1 = true;
        }
        state.pass_on();
    }

    fn wait_for(&self, number: usize) {
        while self.state().current != number {
            std::thread::park();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn pass_on(&mut self) {
        let there: Vec<usize> = (0..self.threads.len()).filter(|number| self.threads[*number].1).collect();
        self.current = *self.random.pick(&there);
        if let Some(thread) = &self.threads[self.current].0 {
            thread.unpark();
        }
    }
}
