//! Threads that share work of which a part shows only on the way.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::threads::{self, lock, unlocked};

struct Schedule<T, I, E> {
    /// Brought by tasks; done before anything new is begun, so that little is begun and not finished.
    ready: Vec<T>,
    first: I,
    busy: usize,
    failure: Option<E>,
}

/// Does the tasks of `first`, and whatever further tasks `work` brings, on `jobs` threads. The first error ends it.
pub fn run<T: Send, I: Iterator<Item = T> + Send, E: Send>(
    jobs: usize,
    first: I,
    work: &(impl Fn(T, &mut Vec<T>) -> Result<(), E> + Sync),
) -> Result<(), E> {
    let state = Mutex::new(Schedule {
        ready: Vec::new(),
        first,
        busy: 0,
        failure: None,
    });
    let news = Condvar::new();
    threads::share(jobs, || {
        while let Some(task) = next(&state, &news) {
            let mut brought = Vec::new();
            let outcome = work(task, &mut brought);
            let mut state = lock(&state);
            state.busy -= 1;
            state.ready.append(&mut brought);
            if let Err(error) = outcome {
                state.failure.get_or_insert(error);
            }
            news.notify_all();
        }
    });
    match unlocked(state).failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The next task; none when there will be no more.
fn next<T, I: Iterator<Item = T>, E>(
    state: &Mutex<Schedule<T, I, E>>,
    news: &Condvar,
) -> Option<T> {
    let mut state = lock(state);
    loop {
        if state.failure.is_some() {
            return None;
        }
        let task = state.ready.pop().or_else(|| state.first.next());
        if task.is_some() {
            state.busy += 1;
            return task;
        }
        if state.busy == 0 {
            return None;
        }
        state = news.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use decryptor_wasm::Error;

    use super::*;

    #[test]
    fn tasks_that_are_brought_are_done_too() {
        let sum = AtomicU64::new(0);
        run(4, [5_u64, 6].into_iter(), &|task, brought| {
            sum.fetch_add(1, Ordering::Relaxed);
            if task > 0 {
                brought.extend([task - 1, task - 1]);
            }
            Ok::<_, Error>(())
        })
        .unwrap();
        assert_eq!(sum.into_inner(), (1 << 6) - 1 + (1 << 7) - 1);
    }

    #[test]
    fn an_error_ends_all() {
        let done = AtomicU64::new(0);
        let outcome = run(2, 0.., &|task: u64, _| {
            done.fetch_add(1, Ordering::Relaxed);
            match task {
                100 => Err(Error::damaged("enough")),
                _ => Ok(()),
            }
        });
        assert_eq!(outcome.unwrap_err().to_string(), "enough");
        assert!(done.into_inner() < 1000);
    }
}
