//! Memory that the system does not give (`ulimit -v`, a container's limit): the process ends with a line that says so. Without this it
//! would abort, as a crash does.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io,
};

struct Ending;

#[global_allocator]
static MEMORY: Ending = Ending;

// SAFETY: all is the system's own; what is added gives no memory back to anybody.
unsafe impl GlobalAlloc for Ending {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        given(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        given(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        given(unsafe { System.realloc(old, layout, size) })
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        unsafe { System.dealloc(old, layout) }
    }
}

/// Ends the process where nothing was given; it must not allocate. What a run leaves behind then, the next one recognises, as after
/// a crash of the machine.
fn given(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        const LINE: &[u8] =
            b"error: there is not enough memory; raise the limit (ulimit -v, that of the container), or take fewer --jobs\n";
        // There is nowhere left to say that it failed.
        let _ = nix::unistd::write(io::stderr(), LINE);
        // SAFETY: nothing of this process runs any more.
        unsafe { nix::libc::_exit(1) }
    }
    memory
}

/// Lets large pieces of memory go back to the system as soon as they are not needed. The allocator of the GNU C library keeps them otherwise, once one of
/// their size was freed: an archive of many users took half as much again.
pub fn give_large_pieces_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: only a number of the allocator is set, before any other thread runs.
    unsafe {
        nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, 1 << 20);
    }
}
