//! The clock of processor time.

use std::mem::MaybeUninit;
use std::time::Duration;

/// What this process has taken of the processors since it began, as user and in the kernel: all its threads, those that
/// have ended too.
///
/// # Panics
/// On a system without that clock, which every POSIX system has.
#[expect(unsafe_code, reason = "the standard library does not have this clock")]
pub fn processor_time() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is to a place for a timespec, which is all that the call asks for.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, time.as_mut_ptr()) };
    assert_eq!(status, 0, "POSIX has a clock of the process's processor time");
    // SAFETY: the call has succeeded, so it has filled in the time.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).expect("a process takes no negative time");
    let nanoseconds = u32::try_from(time.tv_nsec).expect("they are less than a second");
    Duration::new(seconds, nanoseconds)
}
