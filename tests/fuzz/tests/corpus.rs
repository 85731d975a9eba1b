//! Everything that a fuzz target ever stumbled over, and the texts that it starts from.

use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        // Printed where the test fails.
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count > 0, "there is nothing to replay");
}

#[test]
fn what_was_found_in_the_analysis_stays_mended() {
    replay("analysis", codchi_fuzz::analysis);
}

#[test]
fn what_was_found_in_completion_stays_mended() {
    replay("completion", codchi_fuzz::completion);
}

#[test]
fn what_was_found_in_edits_stays_mended() {
    replay("edits", codchi_fuzz::edits);
}

#[test]
fn what_was_found_in_the_protocol_stays_mended() {
    replay("protocol", codchi_fuzz::protocol);
}

#[test]
fn a_session_of_the_corpus_is_a_real_one() {
    let said = codchi_fuzz::messages(include_bytes!("../corpus/protocol/questions"));
    for id in [1, 2, 3, 4, 5, 10, 11, 12] {
        let answers: Vec<_> = said.iter().filter(|message| message["id"] == id).collect();
        assert!(answers.len() == 1 && answers[0].get("error").is_none(), "{id}: {answers:?}");
    }
    assert!(said.iter().any(|message| message["method"] == "textDocument/publishDiagnostics"), "{said:?}");
}

#[test]
fn modules_as_people_write_them_hold() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nix");
    let mut folders = vec![examples];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "nix") {
                let text = std::fs::read(&path).expect("a file");
                println!("{}", path.display());
                codchi_fuzz::analysis(&text);
                codchi_fuzz::completion(&text);
                count += 1;
            }
        }
    }
    assert!(count > 5);
}
