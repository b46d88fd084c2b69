//! The check's common path does not allocate: counted, not assumed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use ringfence_ntsec::{AccessCheck, AccessMask, ObjectType, SecurityDescriptor, Token, WriteReading};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn deciding_allocates_nothing_and_explaining_does() {
    let token: Token = "user S-1-5-21-1-2-3-1001\ngroup WD\ngroup BU\ngroup AU\nprivilege SeTakeOwnershipPrivilege\n\
                        restricting S-1-5-21-7-7-7-3735000001\nwrite-restricted"
        .parse()
        .unwrap();
    let aces: String = (0..50).map(|rid| format!("(D;;SD;;;S-1-5-21-1-2-3-{rid})")).collect();
    let sddl = format!("O:S-1-5-21-1-2-3-1001D:{aces}(A;;FA;;;WD)S:(ML;;NW;;;ME)");
    let descriptor: SecurityDescriptor = sddl.parse().unwrap();
    let check = AccessCheck::new(&token, &descriptor, ObjectType::File);
    let decided = allocations_of(|| {
        for reading in WriteReading::ALL {
            for desired in [AccessMask::MAXIMUM_ALLOWED, AccessMask::GENERIC_READ, AccessMask::WRITE_OWNER] {
                let _ = black_box(check.with_write_reading(reading).decide(black_box(desired)));
            }
        }
    });
    assert_eq!(decided, 0);
    // The counter counts.
    let explained = allocations_of(|| {
        black_box(check.explain(AccessMask::GENERIC_READ));
    });
    assert!(explained > 0);
}
