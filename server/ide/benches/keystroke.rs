//! From a keystroke to its diagnostics, on a module of 2,000 lines: the new text is parsed, its facts are worked out,
//! and everything is checked against a host and a running machine.
//!
//! `cargo bench -p codchi-ide`. The aim: a median below 3 ms, a 95th percentile below 6 ms. divan tells the median; the
//! percentiles are printed after it, also of the processor's time, which does not count what else the machine does.

#![allow(missing_docs, clippy::expect_used)]

use codchi_ide::{Analysis, Capability, Document, Files, Graph, Machine, MachineModule, MachineState, World};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const LINES: usize = 2_000;
const PATH: &str = "/project/codchi.nix";

fn main() {
    divan::main();
    if std::env::args().all(|arg| arg != "--test" && arg != "--list") {
        print_percentiles();
    }
}

/// One file in memory, as the server keeps an open buffer.
struct Buffer(Arc<Document>, OnceLock<Graph>);

impl Files for Buffer {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        self.exists(path).then(|| self.0.clone())
    }

    fn exists(&self, path: &Path) -> bool {
        path == Path::new(PATH)
    }

    fn is_folder(&self, path: &Path) -> bool {
        path == Path::new("/project")
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        vec![PathBuf::from(PATH)]
    }

    fn graph(&self) -> &Graph {
        self.1.get_or_init(|| Graph::of(self))
    }
}

#[divan::bench(sample_count = 500, sample_size = 1)]
fn diagnostics_after_a_keystroke(bencher: divan::Bencher) {
    let (module, world) = (module(), world());
    let mut keystrokes = (0..).map(|n| keystroke(&module, n));
    bencher
        .with_inputs(|| keystrokes.next().expect("endless"))
        .bench_local_values(|text| diagnostics(text, &world));
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn completion_in_half_typed_code(bencher: divan::Bencher) {
    let (module, world) = (module(), world());
    let text = module.replacen("  codchi.gpu.enable = true;\n", "  codchi.gpu.\n", 1);
    let offset = text.find("codchi.gpu.\n").expect("the half-typed line") + "codchi.gpu.".len();
    let files = Buffer(Arc::new(Document::new(text)), OnceLock::new());
    let offset = u32::try_from(offset).expect("a small file").into();
    bencher.bench_local(|| Analysis::new(&files, &world).completions(Path::new(PATH), offset));
}

fn diagnostics(text: String, world: &World) -> usize {
    let files = Buffer(Arc::new(Document::new(text)), OnceLock::new());
    Analysis::new(&files, world).diagnostics(Path::new(PATH)).len()
}

fn print_percentiles() {
    let (module, world) = (module(), world());
    let (mut elapsed, mut processor) = (Vec::new(), Vec::new());
    for n in 0..1_000 {
        let text = keystroke(&module, n);
        let (start, began) = (Instant::now(), processor_time());
        divan::black_box(diagnostics(text, &world));
        processor.push(processor_time() - began);
        elapsed.push(start.elapsed());
    }
    println!("{} lines, {} KiB", LINES, module.len() / 1024);
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

/// The module with a comment that grows somewhere, half of the time with a line that does not parse.
fn keystroke(module: &str, n: usize) -> String {
    let lines: Vec<&str> = module.lines().collect();
    let at = 10 + (n * 37) % (lines.len() - 20);
    let typed = if n.is_multiple_of(2) { "  # typing" } else { "  codchi.docker.ena" };
    let mut text = String::with_capacity(module.len() + typed.len() + 1);
    for (i, line) in lines.iter().enumerate() {
        text.push_str(line);
        text.push('\n');
        if i == at {
            text.push_str(typed);
            text.push('\n');
        }
    }
    text
}

/// A module as people write them: secrets, capabilities, packages, services, conditions, scripts.
fn module() -> String {
    let mut text = String::from(
        "{ config, lib, pkgs, ... }:\nlet\n  cfg = config.services;\nin\n{\n  codchi.gpu.enable = true;\n  \
         codchi.requiredCapabilities = [ \"gpu\" \"kvm\" \"cudda\" ];\n  codchi.optionalCapabilities = [ \"audio\" ];\n",
    );
    let mut n = 0;
    while text.lines().count() < LINES - 1 {
        text.push_str(&block(n));
        n += 1;
    }
    text.push_str("}\n");
    text
}

fn block(n: usize) -> String {
    format!(
        r#"
  # The backend number {n}: it needs a token and a key.
  codchi.secrets.TOKEN_{n} = {{
    description = "The token of backend {n}, from https://example.org/{n}";
    required = {required};
    pattern = "tok-[0-9a-f]{{32}}";
  }};
  codchi.secrets.file.KEY_{n}.description = "The key of backend {n}";
  environment.systemPackages = with pkgs; [
    ripgrep
    (python3.withPackages (ps: [ ps.requests ps."package-{n}" ]))
    nodejs_{n}
  ];
  systemd.services."backend-{n}" = lib.mkIf (cfg.postgresql.enable && config.codchi.gpu.enable) {{
    wantedBy = [ "multi-user.target" ];
    after = [ "network.target" "postgresql.service" ];
    serviceConfig = {{
      ExecStart = "${{pkgs.backend}}/bin/backend --port {port} --name ${{toString {n}}}";
      User = "codchi";
      Restart = "on-failure";
    }};
    script = ''
      if [ -z "$CODCHI_TOKEN_{n}" ]; then
        echo "no token for ${{config.networking.hostName}}" >&2
        exit 1
      fi
    '';
  }};
"#,
        required = n.is_multiple_of(3),
        port = 8000 + n,
    )
}

fn world() -> World {
    let gpu = Capability { available: false, probed: "There is no /dev/dri/renderD*".into(), remedy: None };
    World {
        capabilities: Some([("gpu".to_owned(), gpu)].into()),
        secrets: Some((0..50).map(|n| format!("TOKEN_{n}")).collect()),
        machines: vec![Machine {
            name: "bench".into(),
            state: MachineState::Running,
            modules: vec![MachineModule { path: PATH.into(), output: None }],
            secrets: (0..60).map(|n| format!("TOKEN_{n}")).collect(),
            generation: 3,
        }],
        ..World::default()
    }
}
