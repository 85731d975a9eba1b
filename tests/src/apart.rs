//! Work with an engine where there may be no runtime, or one that is ending: when a test cleans up after itself.

/// Does `work` on a thread with a runtime of its own, and waits for it.
///
/// # Panics
/// Where the work does.
pub fn apart<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work())
        });
        thread.join().unwrap()
    })
}
