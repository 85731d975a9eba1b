//! From a keystroke to its diagnostics, on a module of 5,000 lines in a workspace of 1,000 files: the new text is parsed,
//! its facts are worked out, and everything is checked against the other files, a host and a running machine.
//!
//! `cargo bench -p codchi-ide`. The aim: a median below 5 ms. divan tells the median; the percentiles are printed after it,
//! also of the processor's time, which does not count what else the machine does.

#![allow(missing_docs, clippy::expect_used)]

use codchi_ide::{
    Analysis, Availability, Document, Facts, Files, Graph, Machine, MachineModule, MachineState, Node,
    TextSize, World,
};
use codchi_tests::workspace;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FILES: usize = 1_000;
const LINES: usize = 5_000;
const FOLDER: &str = "/project";

fn main() {
    divan::main();
    if std::env::args().all(|arg| arg != "--test" && arg != "--list") {
        print_percentiles();
    }
}

/// The workspace as the server knows it, without the long module.
struct Others {
    facts: HashMap<PathBuf, Arc<Facts>>,
    graph: Arc<Graph>,
    module: String,
    /// The long module as it was before the keystroke.
    before: Document,
}

fn others() -> Others {
    let mut module = String::new();
    let mut facts = HashMap::new();
    for (path, text) in workspace::files(FILES, LINES) {
        facts.insert(Path::new(FOLDER).join(&path), Document::new(text.as_str()).shared_facts());
        if path == workspace::LONG {
            module = text;
        }
    }
    let nodes = facts.iter().map(|(path, facts)| (path.as_path().into(), Arc::new(Node::of(path, facts))));
    let graph = Arc::new(Graph::default().with(nodes.collect::<Vec<(Arc<Path>, _)>>()));
    facts.remove(&long());
    let before = Document::new(module.as_str());
    // As those of an open file are.
    let _ = before.facts();
    Others { facts, graph, before, module }
}

fn long() -> PathBuf {
    Path::new(FOLDER).join(workspace::LONG)
}

/// The long module in an open buffer, over the others.
struct Buffer<'a> {
    others: &'a Others,
    document: Arc<Document>,
    graph: Arc<Graph>,
}

impl<'a> Buffer<'a> {
    fn new(others: &'a Others, before: &Document, text: String) -> Self {
        let document = Arc::new(before.edited(text));
        let node = Node::of(&long(), document.facts());
        assert!(others.graph.leads(&long(), &node), "typing imports nothing");
        // As the server does: the graph stays as it is where the file says the same to others.
        let graph = match others.graph.says(&long(), &node) {
            true => others.graph.clone(),
            false => Arc::new(others.graph.with([(long().into(), Arc::new(node))])),
        };
        Self { others, document, graph }
    }
}

impl Files for Buffer<'_> {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        (path == long()).then(|| self.document.clone())
    }

    fn facts(&self, path: &Path) -> Option<Arc<Facts>> {
        if path == long() { Some(self.document.shared_facts()) } else { self.others.facts.get(path).cloned() }
    }

    fn exists(&self, path: &Path) -> bool {
        path == long() || self.others.facts.contains_key(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.extension().is_none()
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        self.others.facts.keys().cloned().chain([long()]).collect()
    }

    fn graph(&self) -> &Graph {
        &self.graph
    }
}

#[divan::bench(sample_count = 500, sample_size = 1)]
fn diagnostics_after_a_keystroke(bencher: divan::Bencher) {
    let (others, world) = (others(), world());
    let mut typist = Typist::new(&others);
    bencher.with_inputs(|| typist.next()).bench_local_values(|typed| diagnostics(&others, typed, &world));
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn completion_in_half_typed_code(bencher: divan::Bencher) {
    let (others, world) = (others(), world());
    let (text, offset) = half_typed(&others.module);
    let mut texts = std::iter::repeat(text);
    bencher.with_inputs(|| texts.next().expect("endless")).bench_local_values(|text| {
        let files = Buffer::new(&others, &others.before, text);
        Analysis::new(&files, &world).completions(&long(), offset).items.len()
    });
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn semantic_tokens(bencher: divan::Bencher) {
    let (others, world) = (others(), world());
    let mut typist = Typist::new(&others);
    // As after a keystroke: the text was parsed and its facts worked out for its diagnostics.
    let buffers = || {
        let (before, text) = typist.next();
        Buffer::new(&others, &before, text)
    };
    bencher
        .with_inputs(buffers)
        .bench_local_values(|files| Analysis::new(&files, &world).semantic_tokens(&long(), None).len());
}

/// The module while an option is typed, and where.
fn half_typed(module: &str) -> (String, TextSize) {
    let text = module.replacen("  codchi.gpu.enable = true;\n", "  codchi.gpu.\n", 1);
    let offset = text.find("codchi.gpu.\n").expect("the half-typed line") + "codchi.gpu.".len();
    (text, TextSize::try_from(offset).expect("a small file"))
}

/// What is typed into the long module, letter by letter.
struct Typist {
    typing: Box<dyn Iterator<Item = workspace::Typed>>,
    document: Arc<Document>,
}

impl Typist {
    fn new(others: &Others) -> Self {
        let typing = Box::new(workspace::typing(others.module.clone()));
        Self { typing, document: Arc::new(Document::new(others.module.as_str())) }
    }

    /// The text before a keystroke, as it is known when its diagnostics are told, and the text after it.
    fn next(&mut self) -> (Arc<Document>, String) {
        let text = self.typing.next().expect("endless").typed_into(self.document.text());
        let before = self.document.clone();
        let _ = before.facts();
        self.document = Arc::new(before.edited(text.as_str()));
        (before, text)
    }
}

fn diagnostics(others: &Others, (before, text): (Arc<Document>, String), world: &World) -> usize {
    let files = Buffer::new(others, &before, text);
    Analysis::new(&files, world).diagnostics(&long()).len()
}

fn print_percentiles() {
    let (others, world) = (others(), world());
    println!("{LINES} lines, {} KiB, in {FILES} files", others.module.len() / 1024);
    let mut typist = Typist::new(&others);
    percentiles("a keystroke", 1_000, || {
        let typed = typist.next();
        {
            let (others, world) = (&others, &world);
            move || diagnostics(others, typed, world)
        }
    });
    let (text, offset) = half_typed(&others.module);
    percentiles("completion, the text parsed", 200, || {
        let files = Buffer::new(&others, &others.before, text.clone());
        let world = &world;
        move || Analysis::new(&files, world).completions(&long(), offset).items.len()
    });
}

/// Prints how long the work takes that `prepare` gives, without preparing it.
fn percentiles<T, W: FnOnce() -> T>(name: &str, times: usize, mut prepare: impl FnMut() -> W) {
    let (mut elapsed, mut processor) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let work = prepare();
        let (start, began) = (Instant::now(), processor_time());
        divan::black_box(work());
        processor.push(processor_time() - began);
        elapsed.push(start.elapsed());
    }
    println!("{name}:");
    for (name, mut times) in [("elapsed", elapsed), ("processor", processor)] {
        times.sort();
        let at = |percent: usize| times[times.len() * percent / 100];
        println!("{name:>9}: median {:?}, 95th percentile {:?}", at(50), at(95));
    }
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time since the thread began")
}

fn world() -> World {
    let gpu = Availability {
        available: false,
        probed: "There is no /dev/dri/renderD*".into(),
        ..Availability::default()
    };
    World {
        capabilities: Some([("gpu".to_owned(), gpu)].into()),
        secrets: Some((0..50).map(|n| format!("TOKEN_{n}")).collect()),
        machines: vec![Machine {
            name: "bench".into(),
            state: MachineState::Running,
            modules: vec![MachineModule { path: FOLDER.into(), output: None }],
            secrets: (0..60).map(|n| format!("TOKEN_{n}")).collect(),
            generation: 3,
            drift: Vec::new(),
        }],
        ..World::default()
    }
}
