//! The compiled program is run by a small interpreter and compared with what the plan says, call by call.

use proptest::prelude::*;

use super::*;
use crate::facts::Architecture;

/// Runs a program as the kernel would.
fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let instruction = program[at];
        at += 1;
        let taken = match instruction.code {
            LOAD => {
                accumulator = match instruction.value {
                    OFFSET_NUMBER => number,
                    OFFSET_ARCHITECTURE => architecture,
                    offset => {
                        assert_eq!((offset - OFFSET_ARGUMENTS) % 8, 0, "only low halves are loaded");
                        arguments[((offset - OFFSET_ARGUMENTS) / 8) as usize]
                    }
                };
                continue;
            }
            RETURN => return instruction.value,
            JUMP => {
                at += instruction.value as usize;
                continue;
            }
            JUMP_EQUAL => accumulator == instruction.value,
            JUMP_GREATER => accumulator > instruction.value,
            JUMP_AT_LEAST => accumulator >= instruction.value,
            JUMP_BITS => accumulator & instruction.value != 0,
            other => panic!("unknown instruction {other:#x}"),
        };
        at += usize::from(if taken { instruction.jump_true } else { instruction.jump_false });
    }
}

/// What the plan says, without looking at any program.
fn expected(plan: &SeccompPlan, nr: u32, arguments: [u32; 6]) -> u32 {
    if nr > LAST_KNOWN {
        return errno(SeccompAction::Enosys);
    }
    let argument = |index: u8| arguments[usize::from(index)];
    plan.rules
        .iter()
        .find(|rule| {
            number(plan.architecture, &rule.call) == Some(nr)
                && match &rule.when {
                    None => true,
                    Some(Condition::AnyBit { argument: a, bits }) => argument(*a) & bits != 0,
                    Some(Condition::OneOf { argument: a, values }) => values.contains(&argument(*a)),
                    Some(Condition::NoneOf { argument: a, values }) => !values.contains(&argument(*a)),
                    Some(Condition::Both { argument: a, value, other, allowed }) => {
                        argument(*a) == *value && !allowed.contains(&argument(*other))
                    }
                }
        })
        .map_or(ALLOW, |rule| errno(rule.action))
}

fn rule(call: &str, when: Option<Condition>) -> SeccompRule {
    SeccompRule { call: call.into(), when, action: SeccompAction::Eperm }
}

fn sample(architecture: Architecture) -> SeccompPlan {
    let rules = vec![
        rule("mount", None),
        rule("bpf", None),
        SeccompRule { call: "clone3".into(), when: None, action: SeccompAction::Enosys },
        rule("clone", Some(Condition::AnyBit { argument: 0, bits: 0x7e02_0080 })),
        rule("ioctl", Some(Condition::OneOf { argument: 1, values: vec![0x5412, 0x541d, 0x541c] })),
        rule("socket", Some(Condition::NoneOf { argument: 0, values: vec![1, 2, 10, 16] })),
        rule("socket", Some(Condition::Both { argument: 0, value: 16, other: 2, allowed: vec![0, 4] })),
        rule("socketpair", Some(Condition::NoneOf { argument: 0, values: vec![] })),
    ];
    SeccompPlan { architecture, rules }
}

proptest! {
    #[test]
    fn the_program_says_what_the_plan_says(
        x86 in any::<bool>(),
        pick in 0usize..8,
        free in 0u32..600,
        arguments in proptest::array::uniform6(prop_oneof![0u32..20, any::<u32>(), Just(0x5412), Just(0x541c), Just(0x1000_0000)]),
    ) {
        let plan = sample(if x86 { Architecture::X86_64 } else { Architecture::Aarch64 });
        let program = compile(&plan);
        let audit = audit_architecture(plan.architecture);
        let named = number(plan.architecture, &plan.rules[pick].call).unwrap();
        for nr in [named, free, free | X32_BIT] {
            prop_assert_eq!(run(&program, audit, nr, arguments), expected(&plan, nr, arguments), "call {}", nr);
        }
    }
}

#[test]
fn another_architecture_is_killed() {
    let program = compile(&sample(Architecture::X86_64));
    assert_eq!(run(&program, 0x4000_0003, 1, [0; 6]), KILL_PROCESS);
    assert_eq!(run(&program, 0xc000_003e, 1, [0; 6]), ALLOW);
}

#[test]
fn an_x32_number_does_not_slip_past_the_table() {
    let program = compile(&sample(Architecture::X86_64));
    let mount = number(Architecture::X86_64, "mount").unwrap();
    assert_eq!(run(&program, 0xc000_003e, mount | X32_BIT, [0; 6]), errno(SeccompAction::Enosys));
}
