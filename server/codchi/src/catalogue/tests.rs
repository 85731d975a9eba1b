use super::*;
use async_trait::async_trait;
use codchi_ide::Place;
use codchi_nix::NixError;
use expect_test::{Expect, expect};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

mod kept;

/// Answers from a text, and counts.
struct Fake {
    options: Mutex<String>,
    asked: AtomicUsize,
    slow: bool,
}

const OPTIONS: &str = r#"[
    {"path":["services","web","enable"],"type":"boolean","description":"Whether to serve.","default":"false","example":"true",
     "declared":[["/nixpkgs/nixos/web.nix",3,5]]},
    {"path":["services","web","hosts"],"type":"attribute set of (submodule)","default":"{ }"},
    {"path":["services","web","hosts","<name>","root"],"type":"path","readOnly":true,"declared":[["/elsewhere/x.nix"]]},
    {"path":["services","web","hosts","<name>","ports","*","number"],"type":"16 bit unsigned integer"},
    {"path":["services","web","hosts","localhost","only"],"type":"boolean"},
    {"path":["networking","<interface>"],"type":"string"},
    {"path":["functions","<function body>","x"],"type":"string"},
    {"path":["<name>"]}, {"path":[]},
    {"path":["environment","etc"],"type":"attribute set"}
]"#;

impl Fake {
    fn new(options: &str) -> Arc<Self> {
        Arc::new(Self { options: Mutex::new(options.to_owned()), asked: AtomicUsize::new(0), slow: false })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Surveyor for Fake {
    async fn survey(
        &self,
        survey: &Survey,
        mut answer: &File,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, NixError> {
        if self.slow {
            cancel.cancelled().await;
            return Err(NixError::Cancelled);
        }
        let text = match &survey.question {
            SurveyQuestion::Packages(paths) if paths.contains(&path("evil")) => "fail".to_owned(),
            SurveyQuestion::Packages(paths) => {
                let answer = |path: &Vec<String>| {
                    let names: &[&str] = if path.is_empty() { &["git", "hello"] } else { &["requests"] };
                    serde_json::json!({ "path": path, "names": names })
                };
                serde_json::to_string(&paths.iter().map(answer).collect::<Vec<_>>()).unwrap()
            }
            SurveyQuestion::Options => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                self.options.lock().unwrap().clone()
            }
            SurveyQuestion::Own(modules) => {
                self.asked.fetch_add(1, Ordering::SeqCst);
                format!(
                    r#"[{{"path":["mine","of{}"],"type":"string"}},{{"path":["services","web","more"]}}]"#,
                    modules.len()
                )
            }
        };
        if text == "fail" {
            let message = "it does not evaluate".into();
            return Err(NixError::Failed { message, position: None, trace: Vec::new(), build: None });
        }
        answer.write_all(text.as_bytes()).unwrap();
        Ok(Vec::new())
    }
}

fn path(text: &str) -> Vec<String> {
    text.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

async fn catalogue(catalogues: &Catalogues) -> Arc<dyn Catalogue> {
    catalogues.of("/nixpkgs".as_ref(), "r1", &[], &CancellationToken::new()).await.unwrap()
}

/// All that is listed below a path, level by level.
fn listed(catalogue: &dyn Catalogue, at: &mut Vec<String>, text: &mut String) {
    for entry in catalogue.children(at) {
        let kind = entry.kind.map(|kind| format!(": {kind}")).unwrap_or_default();
        writeln!(text, "{}{}{kind}", "  ".repeat(at.len()), entry.name).unwrap();
        if entry.has_children {
            at.push(entry.name);
            listed(catalogue, at, text);
            at.pop();
        }
    }
}

fn check(catalogue: &dyn Catalogue, expected: &Expect) {
    let mut text = String::new();
    listed(catalogue, &mut Vec::new(), &mut text);
    expected.assert_eq(&text);
}

#[tokio::test]
async fn options_are_listed_level_by_level_without_those_that_nobody_can_set() {
    let cache = tempfile::tempdir().unwrap();
    let (catalogues, _questions) = Catalogues::new(cache.path(), Fake::new(OPTIONS));
    check(
        &*catalogue(&catalogues).await,
        &expect![[r#"
            <name>: 
            environment
              etc: attribute set
            networking
              <name>: string
            services
              web
                enable: boolean
                hosts: attribute set of (submodule)
                  <name>
                    ports
                      *
                        number: 16 bit unsigned integer
                    root: path
                  localhost
                    only: boolean
        "#]],
    );
}

#[tokio::test]
async fn an_option_has_its_documentation_and_free_names_stand_for_any() {
    let cache = tempfile::tempdir().unwrap();
    let (catalogues, _questions) = Catalogues::new(cache.path(), Fake::new(OPTIONS));
    let catalogue = catalogue(&catalogues).await;
    let enable = catalogue.option(&path("services.web.enable")).unwrap();
    assert_eq!(
        (enable.kind.as_str(), enable.description.as_str(), enable.read_only),
        ("boolean", "Whether to serve.", false)
    );
    assert_eq!((enable.default.as_deref(), enable.example.as_deref()), (Some("false"), Some("true")));
    let place = |file: &str, line, column| Place { path: file.into(), line, column };
    assert_eq!(enable.declarations, [place("/nixpkgs/nixos/web.nix", 3, 5)]);

    let root = catalogue.option(&path("services.web.hosts.example.root")).unwrap();
    assert_eq!(root.path, path("services.web.hosts.<name>.root"));
    assert!(root.read_only);
    assert_eq!(root.declarations, [place("/elsewhere/x.nix", 1, 1)]);
    // A name that is listed, too, is one of the free ones.
    assert!(catalogue.option(&path("services.web.hosts.localhost.root")).is_some());
    assert!(catalogue.option(&path("services.web.hosts.localhost.only")).is_some());
    assert!(catalogue.option(&path("services.web.hosts.other.only")).is_none());
    assert!(
        catalogue.option(&path("services.web.hosts.x.ports.y.number")).is_none(),
        "no name is an element"
    );
    assert!(catalogue.option(&path("services.web")).is_none());
    assert!(catalogue.option(&path("networking.eth0")).is_some());
}

#[tokio::test]
async fn a_revision_is_worked_out_once_and_again_only_where_what_was_kept_is_damaged() {
    let cache = tempfile::tempdir().unwrap();
    let fake = Fake::new(OPTIONS);
    let (catalogues, _questions) = Catalogues::new(cache.path(), fake.clone());
    let first = catalogue(&catalogues).await;
    assert_eq!(first.revision(), catalogue(&catalogues).await.revision());
    let (others, _questions) = Catalogues::new(cache.path(), fake.clone());
    assert_eq!(first.revision(), catalogue(&others).await.revision(), "another process");
    assert_eq!(fake.asked(), 1);

    let file = catalogues.folder.entry(&Key::of([b"nixpkgs".as_slice(), b"r1"])).options();
    let whole = std::fs::read(&file).unwrap();
    let mut turned = whole.clone();
    turned[40] ^= 1;
    for (n, damaged) in [&whole[..whole.len() - 1], &whole[..30], b"", &turned].into_iter().enumerate() {
        std::fs::write(&file, damaged).unwrap();
        let (others, _questions) = Catalogues::new(cache.path(), fake.clone());
        let again = catalogue(&others).await;
        assert!(again.option(&path("services.web.enable")).is_some());
        assert_eq!(fake.asked(), n + 2);
        assert_eq!(std::fs::read(&file).unwrap(), whole);
    }
}

#[tokio::test]
async fn what_a_person_changes_in_their_own_modules_costs_only_these() {
    let (cache, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fake = Fake::new(OPTIONS);
    let (catalogues, _questions) = Catalogues::new(cache.path(), fake.clone());
    let write = |name: &str, text: &str| {
        std::fs::write(project.path().join(name), text).unwrap();
        InspectedModule::File(project.path().join(name))
    };
    let own = [
        write("a.nix", "{ lib, ... }: { options.mine.of1 = lib.mkOption { }; }"),
        write("b.nix", "{ services.web.enable = true; }"),
    ];
    let of = async |own: &[InspectedModule]| {
        catalogues.of("/nixpkgs".as_ref(), "r1", own, &CancellationToken::new()).await.unwrap()
    };
    let plain = of(&own[1..]).await;
    assert_eq!(fake.asked(), 1, "a module that declares nothing is not asked about");
    let both = of(&own).await;
    assert_eq!(fake.asked(), 2);
    assert_ne!(plain.revision(), both.revision());
    assert!(both.option(&path("mine.of1")).is_some() && both.option(&path("services.web.enable")).is_some());
    let names: Vec<_> = both.children(&path("services.web")).into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["enable", "hosts", "more"]);

    write("b.nix", "{ services.web.enable = false; }");
    assert_eq!(of(&own).await.revision(), both.revision());
    write("a.nix", "{ lib, ... }: { options.mine.of1 = lib.mkOption { default = 1; }; }");
    assert_ne!(of(&own).await.revision(), both.revision());
    assert_eq!(fake.asked(), 3);
}

#[tokio::test]
async fn what_fails_is_not_tried_again_and_leaves_nothing_behind() {
    let cache = tempfile::tempdir().unwrap();
    let fake = Fake::new("fail");
    let nixpkgs = tempfile::tempdir().unwrap();
    let of = async |cancel: &CancellationToken| {
        let (catalogues, _questions) = Catalogues::new(cache.path(), fake.clone());
        catalogues.of(nixpkgs.path(), "r1", &[], cancel).await.unwrap_err().to_string()
    };
    assert_eq!(of(&CancellationToken::new()).await, "Nix does not say which options there are");
    let again = of(&CancellationToken::new()).await;
    assert!(again.contains("it does not evaluate") && again.contains("not tried again"), "{again}");
    assert_eq!(fake.asked(), 1);

    // An answer that is none is like none.
    for text in ["", "[{\"path\":[\"a\"]}", "garbage"] {
        let cache = tempfile::tempdir().unwrap();
        let (catalogues, _questions) = Catalogues::new(cache.path(), Fake::new(text));
        let error = catalogues.of("/nixpkgs".as_ref(), "r1", &[], &CancellationToken::new()).await;
        assert!(matches!(error, Err(CatalogueError::Io(_))), "{text}");
        let entry = catalogues.folder.entry(&Key::of([b"nixpkgs".as_slice(), b"r1"]));
        let left = std::fs::read_dir(entry.options().parent().unwrap()).unwrap();
        assert!(left.flatten().all(|file| file.file_name() == "used"), "{text}");
    }
}

#[tokio::test]
async fn two_processes_work_it_out_once_and_waiting_ends_when_nobody_wants_it_any_more() {
    let cache = tempfile::tempdir().unwrap();
    let fake = Fake::new(OPTIONS);
    let (one, _questions) = Catalogues::new(cache.path(), fake.clone());
    let (two, _questions) = Catalogues::new(cache.path(), fake.clone());
    let lock = one.folder.lock(&CancellationToken::new()).await.unwrap();
    let cancel = CancellationToken::new();
    let (waits, ()) = tokio::join!(one.of("/nixpkgs".as_ref(), "r1", &[], &cancel), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        cancel.cancel();
    });
    assert!(matches!(waits, Err(CatalogueError::Cancelled)));
    drop(lock);
    let (first, second) = tokio::join!(catalogue(&one), catalogue(&two));
    assert_eq!(first.revision(), second.revision());
    assert_eq!(fake.asked(), 1);
}

#[tokio::test]
async fn cancelling_ends_the_work_and_it_is_done_the_next_time() {
    let cache = tempfile::tempdir().unwrap();
    let slow = Fake { options: Mutex::default(), asked: AtomicUsize::new(0), slow: true };
    let (catalogues, _questions) = Catalogues::new(cache.path(), Arc::new(slow));
    let cancel = CancellationToken::new();
    let (result, ()) = tokio::join!(catalogues.of("/nixpkgs".as_ref(), "r1", &[], &cancel), async {
        tokio::task::yield_now().await;
        cancel.cancel();
    });
    assert!(matches!(result, Err(CatalogueError::Cancelled)));
    let (catalogues, _questions) = Catalogues::new(cache.path(), Fake::new(OPTIONS));
    catalogue(&catalogues).await;
}

#[tokio::test]
async fn packages_are_known_after_they_were_asked_for() {
    let cache = tempfile::tempdir().unwrap();
    let (catalogues, questions) = Catalogues::new(cache.path(), Fake::new(OPTIONS));
    let catalogue = catalogue(&catalogues).await;
    assert_eq!(catalogue.packages(&path("python3Packages")), None);
    let cancel = CancellationToken::new();
    let answering = tokio::spawn(questions.answer(cancel.clone()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while catalogue.packages(&path("python3Packages")).is_none() {
        assert!(tokio::time::Instant::now() < deadline, "nobody answers");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(catalogue.packages(&path("python3Packages")).unwrap(), ["requests"]);
    assert_eq!(catalogue.packages(&[]).unwrap(), ["git", "hello"], "asked for without being asked");
    assert_eq!(catalogue.packages(&path("lib.types")), None);

    // One that ends Nix takes nothing else with it.
    for name in ["a", "evil", "b"] {
        assert_eq!(catalogue.packages(&path(name)), None);
    }
    while catalogue.packages(&path("a")).is_none() || catalogue.packages(&path("b")).is_none() {
        assert!(tokio::time::Instant::now() < deadline, "nobody answers the others");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(catalogue.packages(&path("evil")), None);
    cancel.cancel();
    answering.await.unwrap();
}

/// As many options as NixOS has, with texts of the usual length.
#[tokio::test]
async fn twenty_thousand_options_take_a_few_megabytes() {
    let mut text = String::from("[");
    for n in 0..20_000 {
        let (service, option) = (n / 20, n % 20);
        let description = format!("What the option {option} of the service {service} does. ").repeat(6);
        let separator = if n == 0 { "" } else { "," };
        write!(
            text,
            r#"{separator}{{"path":["services","service-{service}","settings","option{option}"],"type":"null or kind {}",
            "description":"{description}","default":"null","declared":[["/nixpkgs/nixos/modules/services/{service}.nix",{n},5]]}}"#,
            n % 1000
        )
        .unwrap();
    }
    text.push(']');
    let cache = tempfile::tempdir().unwrap();
    let (catalogues, _questions) = Catalogues::new(cache.path(), Fake::new(&text));
    let base = catalogues.base("/nixpkgs".as_ref(), "r1", &CancellationToken::new()).await.unwrap();
    let entry = catalogues.folder.entry(base.key());
    let table = Table::open(&entry.options(), "/nixpkgs".as_ref()).unwrap();
    for n in 0..1000 {
        let path = path(&format!("services.service-{n}.settings.option{}", n % 20));
        assert!(table.option(&path).unwrap().is_some());
        assert_eq!(table.children(&path[..3]).len(), 20);
    }
    let size = table.size();
    assert!(size < 4 << 20, "{size} bytes");
}
