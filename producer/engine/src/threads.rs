//! Work that is shared by threads, of which there may be none to be had (`TasksMax`, the limit of a container, `ulimit -u`): whoever
//! needs it done does it then alone.

use std::{
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{Builder, scope},
};

/// Does `work` on this thread and on `jobs - 1` others, as far as there are any; ends when all have ended.
pub fn share(jobs: usize, work: impl Fn() + Sync) {
    scope(|scope| {
        for _ in 1..jobs {
            if Builder::new().spawn_scoped(scope, &work).is_err() {
                break;
            }
        }
        work();
    });
}

/// As many threads as were asked for, or one for each core.
#[must_use]
pub fn count(asked: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or_else(cores, usize::from)
}

/// Locks plain data, which stays usable where a thread panicked with it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plain data out of its lock, whatever became of the threads that had it.
pub fn unlocked<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Results of `work` for each item, made on as many threads as there are; in the order of the items.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let add = |at: usize, result: R| {
        lock(&done).push((at, result));
    };
    share(items.len(), || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            add(at, work(item));
        }
    });
    let mut done = unlocked(done);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Why work that cannot be done without another thread is not done.
pub fn refused(error: &io::Error) -> String {
    format!(
        "no further thread can be had ({error}): raise the limit of processes of this user, service or container (ulimit -u, TasksMax, pids), \
         or that of memory"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..20).collect();
        let doubled: Vec<u32> = items.iter().map(|n| n * 2).collect();
        assert_eq!(map(&items, |n| n * 2), doubled);
        assert_eq!(map(&[], |n: &u32| *n), Vec::<u32>::new());
    }
}
