use super::*;
use crate::evaluation::Trouble;
use codchi_nix::NixError;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Evaluates for as long as it is told to, and notes how many it does at once.
#[derive(Default)]
struct Fake {
    begun: Arc<Mutex<Vec<String>>>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    cancelled: Arc<AtomicUsize>,
    go_on: Arc<Notify>,
}

#[tower_lsp::async_trait]
impl Evaluate for Fake {
    async fn evaluate(
        &self,
        job: Arc<Job>,
        _: Arc<Surroundings>,
        tell: &(dyn Fn(Evaluated) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Outcome {
        self.begun.lock().unwrap().push(job.key().0.display().to_string());
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tell(Evaluated::default());
        let trouble = tokio::select! {
            () = self.go_on.notified() => None,
            () = cancel.cancelled() => {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                // A process takes its time to end.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some(Trouble::Nix(NixError::Cancelled))
            }
        };
        self.running.fetch_sub(1, Ordering::SeqCst);
        let hangs = job.key().0 == Path::new("/hangs");
        let trouble = trouble.or_else(|| hangs.then_some(Trouble::Nix(NixError::NotInstalled)));
        Outcome { found: Some(Evaluated::default()), trouble }
    }
}

struct Test {
    schedule: Schedule<Fake>,
    told: mpsc::UnboundedReceiver<Told>,
    surroundings: Arc<Surroundings>,
}

impl Test {
    fn new() -> Self {
        let (schedule, told) = Schedule::new(Fake::default(), TaskTracker::new());
        Self { schedule, told, surroundings: Arc::default() }
    }

    fn want(&mut self, jobs: &[(&str, &str)], again: bool) {
        let jobs = jobs.iter().map(|(path, text)| Job::of_text(Path::new(path), text)).collect();
        self.schedule.want(jobs, &self.surroundings, again);
    }

    /// Lets one evaluation end, and takes what is told until then; gives how much of it counts.
    async fn finish(&mut self) -> usize {
        self.schedule.evaluate.go_on.notify_one();
        let mut taken = 0;
        while let Ok(Some(told)) = tokio::time::timeout(Duration::from_millis(100), self.told.recv()).await {
            taken += usize::from(self.schedule.take(told).is_some());
        }
        taken
    }

    fn begun(&self) -> Vec<String> {
        std::mem::take(&mut *self.schedule.evaluate.begun.lock().unwrap())
    }
}

#[tokio::test]
async fn the_same_is_evaluated_once_and_again_only_where_that_is_wanted() {
    let mut test = Test::new();
    test.want(&[("/a", "1")], true);
    test.want(&[("/a", "1")], true);
    assert_eq!(test.finish().await, 2, "what is known so far, and the end");
    assert_eq!(test.begun(), ["/a"]);
    test.want(&[("/a", "1")], false);
    assert_eq!(test.finish().await, 0);
    assert!(test.begun().is_empty());
}

#[tokio::test]
async fn a_save_evaluates_again_for_what_else_the_module_reads() {
    let mut test = Test::new();
    test.want(&[("/a", "1")], true);
    test.finish().await;
    test.want(&[("/a", "1")], true);
    test.finish().await;
    assert_eq!(test.begun(), ["/a", "/a"]);
}

#[tokio::test]
async fn a_newer_evaluation_ends_the_older_of_its_module_first() {
    let mut test = Test::new();
    test.want(&[("/a", "1")], false);
    tokio::time::sleep(Duration::from_millis(10)).await;
    for text in ["2", "3"] {
        test.want(&[("/a", text)], false);
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    let Fake { most, cancelled, .. } = &*test.schedule.evaluate;
    assert_eq!((most.load(Ordering::SeqCst), cancelled.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(test.begun(), ["/a", "/a"], "the second was never begun");
    assert_eq!(test.finish().await, 2, "what the first said so far no longer counts");
}

#[tokio::test]
async fn no_more_than_two_run_at_once() {
    let mut test = Test::new();
    let modules = ["/a", "/b", "/c", "/d", "/e"];
    test.want(&modules.map(|path| (path, "1")), false);
    for _ in modules {
        test.finish().await;
    }
    assert_eq!(test.begun().len(), modules.len());
    assert_eq!(test.schedule.evaluate.most.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn what_hung_is_not_evaluated_again_before_it_changes() {
    let mut test = Test::new();
    test.want(&[("/hangs", "1")], true);
    test.finish().await;
    test.want(&[("/hangs", "1")], true);
    test.finish().await;
    assert_eq!(test.begun(), ["/hangs"]);
    test.want(&[("/hangs", "2")], false);
    test.finish().await;
    assert_eq!(test.begun(), ["/hangs"]);
}

#[tokio::test]
async fn what_is_no_longer_wanted_is_ended_and_says_nothing() {
    let mut test = Test::new();
    test.want(&[("/a", "1"), ("/b", "1")], false);
    tokio::time::sleep(Duration::from_millis(10)).await;
    test.schedule.retain(&[("/b".into(), None)].into());
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(test.schedule.evaluate.cancelled.load(Ordering::SeqCst), 1);
    assert_eq!(test.finish().await, 2, "what the other says");
}

#[test]
fn a_machine_that_was_built_anew_is_another_surrounding() {
    use codchi_ide::{Machine, MachineModule, MachineState};
    let job = Job::of_text(Path::new("/a"), "1");
    let with = |generation, path: &str| Surroundings {
        machines: vec![Machine {
            name: "m".into(),
            state: MachineState::Running,
            modules: vec![MachineModule { path: path.into(), output: None }],
            secrets: [].into(),
            generation,
            drift: Vec::new(),
        }],
        ..Surroundings::default()
    };
    assert_ne!(print(&job, &with(1, "/a")), print(&job, &with(2, "/a")));
    assert_eq!(print(&job, &with(1, "/b")), print(&job, &with(2, "/b")));
}
