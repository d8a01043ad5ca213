//! Two sorted lists beside each other: what the run before has left, and what is there now.

use std::io;

use crate::state::{Entry, Sorted, Stored};

/// Difference between the two lists at a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeStep {
    /// It was there, and is not any more.
    Gone(Entry),
    /// It is there, and was.
    Both(Entry),
    /// It is there, and was not.
    New(Entry),
    /// It is there twice.
    Again,
}

/// Hands over all numbers in order.
pub fn merge<E>(
    old: Option<&Stored>,
    now: &Sorted,
    failed: impl Fn(io::Error) -> E,
    take: &mut dyn FnMut(MergeStep) -> Result<(), E>,
) -> Result<(), E> {
    let mut old = old.map(Stored::read);
    let mut step_old = || {
        old.as_mut()
            .map_or(Ok(None), |old| old.step())
            .map_err(&failed)
    };
    let mut now = now.walk();
    let mut was = step_old()?;
    let mut last = None;
    while let Some(entry) = now.step().map_err(&failed)? {
        if last.replace(entry.0) == Some(entry.0) {
            take(MergeStep::Again)?;
            continue;
        }
        while let Some(before) = was.filter(|before| before.0 < entry.0) {
            take(MergeStep::Gone(before))?;
            was = step_old()?;
        }
        if was.is_some_and(|before| before.0 == entry.0) {
            take(MergeStep::Both(entry))?;
            was = step_old()?;
        } else {
            take(MergeStep::New(entry))?;
        }
    }
    while let Some(before) = was {
        take(MergeStep::Gone(before))?;
        was = step_old()?;
    }
    Ok(())
}
