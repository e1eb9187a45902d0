//! A load in a thread of its own, beside the clients that are measured.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::setpriority_process;

use crate::harness::Outcome;

/// The niceness of a thread that yields the processor to every other: see setpriority(2).
const NICEST: i32 = 19;

/// Repeats `step` in a thread while `other` runs in this one. The thread has the lowest priority, so the clients that `other`
/// measures read as soon as something has arrived, though the load takes all that is left of the processor.
pub(crate) fn beside<T>(
    mut step: impl FnMut() -> Outcome<()> + Send,
    other: impl FnOnce() -> Outcome<T>,
) -> Outcome<T> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| -> Result<(), String> {
            setpriority_process(None, NICEST).map_err(|error| error.to_string())?;
            while !is_over.load(Ordering::Relaxed) {
                step().map_err(|error| error.to_string())?;
            }
            Ok(())
        });
        let result = other();
        is_over.store(true, Ordering::Relaxed);
        load.join().expect("the thread of the load")?;
        result
    })
}
