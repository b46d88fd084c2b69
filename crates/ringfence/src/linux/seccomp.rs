//! Turns the plan's filter into the kernel's program: classic BPF over `struct seccomp_data` (seccomp(2)).
//!
//! The program looks at the number first and returns before it loads an argument, unless the call has a condition: the
//! kernel recognises calls that are always allowed and then does not run the program for them at all.

use crate::plan::linux::{Condition, SeccompAction, SeccompPlan, SeccompRule};
use crate::syscalls::{LAST_KNOWN, X32_BIT, audit_architecture, number};

/// One instruction, in the layout of `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    value: u32,
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const JUMP_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_BITS: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;

/// The program of a filter.
pub(crate) fn compile(plan: &SeccompPlan) -> Vec<Instruction> {
    let mut rules: Vec<(u32, &SeccompRule)> = plan
        .rules
        .iter()
        .filter_map(|rule| number(plan.architecture, &rule.call).map(|number| (number, rule)))
        .collect();
    rules.sort_by_key(|(number, _)| *number);
    let mut program = vec![
        load(OFFSET_ARCHITECTURE),
        jump(JUMP_EQUAL, audit_architecture(plan.architecture), 1, 0),
        give(KILL_PROCESS),
        load(OFFSET_NUMBER),
        // Numbers of x32 calls are above this too.
        jump(JUMP_GREATER, LAST_KNOWN.min(X32_BIT), 0, 1),
        give(errno(SeccompAction::Enosys)),
    ];
    search(&spans(&rules), &mut program);
    program
}

/// Consecutive call numbers for which the same is done.
struct Span {
    first: u32,
    instructions: Vec<Instruction>,
}

/// All numbers, in order: what is done for the calls that rules name, and permission between them.
fn spans(rules: &[(u32, &SeccompRule)]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut add = |first: u32, instructions: Vec<Instruction>| {
        spans.pop_if(|last| last.first == first);
        if spans.last().is_none_or(|last| last.instructions != instructions) {
            spans.push(Span { first, instructions });
        }
    };
    add(0, vec![give(ALLOW)]);
    for group in rules.chunk_by(|(a, _), (b, _)| a == b) {
        let (number, _) = group[0];
        let conditional = group.iter().all(|(_, rule)| rule.when.is_some());
        let refusals = group.iter().flat_map(|(_, rule)| refusal(rule));
        add(number, refusals.chain(conditional.then(|| give(ALLOW))).collect());
        add(number + 1, vec![give(ALLOW)]);
    }
    spans
}

/// A binary search for the span of a number. The kernel tries every number out when the filter is installed, and
/// translates every instruction, so that a search from front to back would cost more than everything else about it.
fn search(spans: &[Span], program: &mut Vec<Instruction>) {
    let (below, above) = spans.split_at(spans.len() / 2);
    let (Some(middle), false) = (above.first(), below.is_empty()) else {
        program.extend(spans.iter().flat_map(|span| &span.instructions));
        return;
    };
    let at = program.len();
    program.push(jump(JUMP_AT_LEAST, middle.first, 0, 0));
    search(below, program);
    let skipped = program.len() - at - 1;
    if skipped <= usize::from(u8::MAX) {
        program[at].jump_true = distance(skipped);
    } else {
        // A conditional jump reaches 255 instructions, an unconditional one any number.
        program[at].jump_false = 1;
        program.insert(at + 1, jump(JUMP, u32::try_from(skipped).unwrap_or(u32::MAX), 0, 0));
    }
    search(above, program);
}

/// Instructions that return the rule's error where its condition holds, and fall through where it does not.
fn refusal(rule: &SeccompRule) -> Vec<Instruction> {
    let refuse = give(errno(rule.action));
    match &rule.when {
        None => vec![refuse],
        Some(Condition::AnyBit { argument, bits }) => {
            vec![load_argument(*argument), jump(JUMP_BITS, *bits, 0, 1), refuse]
        }
        Some(Condition::OneOf { argument, values }) => {
            let mut block = vec![load_argument(*argument)];
            // A match jumps over the remaining comparisons and the jump behind them.
            let matched = |index: usize| jump(JUMP_EQUAL, values[index], distance(values.len() - index), 0);
            block.extend((0..values.len()).map(matched));
            block.extend([jump(JUMP, 1, 0, 0), refuse]);
            block
        }
        Some(Condition::NoneOf { argument, values }) => none_of(*argument, values, refuse),
        Some(Condition::Both { argument, value, other, allowed }) => {
            let inner = none_of(*other, allowed, refuse);
            let mut block = vec![load_argument(*argument), jump(JUMP_EQUAL, *value, 0, distance(inner.len()))];
            block.extend(inner);
            block
        }
    }
}

fn none_of(argument: u8, values: &[u32], refuse: Instruction) -> Vec<Instruction> {
    let mut block = vec![load_argument(argument)];
    // A match jumps over the remaining comparisons and the refusal.
    let matched = |index: usize| jump(JUMP_EQUAL, values[index], distance(values.len() - index), 0);
    block.extend((0..values.len()).map(matched));
    block.push(refuse);
    block
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LOAD, jump_true: 0, jump_false: 0, value: offset }
}

/// Loads the low half of an argument; both architectures are little-endian.
fn load_argument(argument: u8) -> Instruction {
    load(OFFSET_ARGUMENTS + 8 * u32::from(argument))
}

fn jump(code: u16, value: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, value }
}

fn give(value: u32) -> Instruction {
    Instruction { code: RETURN, jump_true: 0, jump_false: 0, value }
}

fn errno(action: SeccompAction) -> u32 {
    ERRNO
        | match action {
            SeccompAction::Eperm => 1,
            SeccompAction::Enosys => 38,
            SeccompAction::Eafnosupport => 97,
        }
}

/// A forward jump; blocks are a handful of instructions, far below the 255 that fit.
fn distance(instructions: usize) -> u8 {
    debug_assert!(instructions <= usize::from(u8::MAX));
    u8::try_from(instructions).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
