//! Asking a person about a host that no rule names.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ringfence_policy::Host;
use serde::{Deserialize, Serialize};

use crate::event::Protocol;

/// Asks a person, on a terminal that the sandboxed command cannot write to.
pub trait Ask: Send + Sync {
    /// Asks and waits for the answer. Called on a thread of its own, one question at a time; an answer that takes longer than
    /// [`crate::Limits::ask_time`] counts as [`Answer::No`], so that an implementation should give up by then, too.
    fn ask(&self, question: &Question) -> Answer;
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The host in normal form. Chosen by the sandboxed command; it is ASCII without control characters, so that it cannot
    /// play tricks with a terminal.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// How the command asks for it.
    pub protocol: Protocol,
}

/// What a person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// This connection alone.
    Once,
    /// Every connection to this host and port until the run ends.
    Run,
    /// Refused; not asked again in this run, so that a command cannot wear a person down.
    No,
}

/// Remembers answers and bounds the number of questions.
pub(crate) struct Questions {
    ask: Option<Arc<dyn Ask>>,
    time: Duration,
    limit: usize,
    answered: std::sync::Mutex<HashMap<(Host, u16), Answer>>,
    /// One question at a time: the terminal is one.
    turn: tokio::sync::Mutex<usize>,
}

impl Questions {
    pub(crate) fn new(ask: Option<Arc<dyn Ask>>, time: Duration, limit: usize) -> Self {
        Self { ask, time, limit, answered: std::sync::Mutex::default(), turn: tokio::sync::Mutex::new(0) }
    }

    pub(crate) fn enabled(&self) -> bool {
        self.ask.is_some()
    }

    /// The answer to the question; `None` where nobody is there to be asked.
    pub(crate) async fn answer(&self, question: &Question) -> Option<Answer> {
        let ask = Arc::clone(self.ask.as_ref()?);
        if let Some(answer) = self.remembered(question) {
            return Some(answer);
        }
        let mut asked = self.turn.lock().await;
        // Somebody may have answered while this question waited for its turn.
        if let Some(answer) = self.remembered(question) {
            return Some(answer);
        }
        if *asked >= self.limit {
            return Some(Answer::No);
        }
        *asked += 1;
        let question_there = question.clone();
        let asking = tokio::task::spawn_blocking(move || ask.ask(&question_there));
        let answer = match tokio::time::timeout(self.time, asking).await {
            Ok(Ok(answer)) => answer,
            // No answer in time, or the asker panicked: no answer is no.
            Ok(Err(_)) | Err(_) => Answer::No,
        };
        if answer != Answer::Once {
            self.memory().insert((question.host.clone(), question.port), answer);
        }
        Some(answer)
    }

    fn remembered(&self, question: &Question) -> Option<Answer> {
        self.memory().get(&(question.host.clone(), question.port)).copied()
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, HashMap<(Host, u16), Answer>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
