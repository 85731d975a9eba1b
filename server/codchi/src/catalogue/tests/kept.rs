//! What stays on the disk, and what does not.

use super::*;

#[test]
fn only_what_was_used_last_is_kept() {
    let cache = tempfile::tempdir().unwrap();
    let folder = Folder::new(cache.path());
    let entries: Vec<Entry> = (0..40u8).map(|n| folder.entry(&Key::of([[n].as_slice()]))).collect();
    for (n, entry) in entries.iter().enumerate() {
        let file = entry.new_file().unwrap();
        entry.keep(file, &entry.options()).unwrap();
        let used = File::options().write(true).open(entry.options().with_file_name("used")).unwrap();
        used.set_modified(std::time::SystemTime::now() - Duration::from_secs(1000 - n as u64)).unwrap();
    }
    entries[0].touch();
    folder.tidy();
    let kept: Vec<usize> = (0..40).filter(|n| entries[*n].options().exists()).collect();
    assert_eq!(kept.len(), 24);
    assert!(kept.contains(&0) && kept.contains(&39) && !kept.contains(&1));
}

#[test]
fn what_a_killed_process_has_left_is_removed_and_what_is_being_written_is_not() {
    let cache = tempfile::tempdir().unwrap();
    let folder = Folder::new(cache.path());
    let entry = folder.entry(&Key::of([b"a".as_slice()]));
    let [old, new] = [3700, 60].map(|age| {
        let file = entry.new_file().unwrap();
        file.as_file().set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
        file.keep().unwrap().1
    });
    folder.tidy();
    assert!(!old.exists() && new.exists());
}

#[tokio::test]
async fn states_of_own_modules_do_not_push_out_the_nixpkgs_that_they_are_of() {
    let (cache, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fake = Fake::new(OPTIONS);
    let (catalogues, _questions) = Catalogues::new(cache.path(), fake.clone());
    let file = project.path().join("a.nix");
    let own = [InspectedModule::File(file.clone())];
    let cancel = CancellationToken::new();
    // As long as somebody uses it, it is in memory.
    let mut _before: Option<Arc<dyn Catalogue>> = None;
    for n in 0..30 {
        std::fs::write(&file, format!("{{ options.x = lib.mkOption {{ default = {n}; }}; }}")).unwrap();
        _before = Some(catalogues.of("/nixpkgs".as_ref(), "r1", &own, &cancel).await.unwrap());
    }
    assert_eq!(fake.asked(), 31);
    let (next, _questions) = Catalogues::new(cache.path(), fake.clone());
    catalogue(&next).await;
    assert_eq!(fake.asked(), 31, "it is still on the disk");
}

#[tokio::test]
async fn a_nixpkgs_that_was_collected_meanwhile_is_asked_again_when_it_is_back() {
    let (cache, fake) = (tempfile::tempdir().unwrap(), Fake::new("fail"));
    let nixpkgs = tempfile::tempdir().unwrap();
    let path = nixpkgs.path().join("nixpkgs");
    let (catalogues, _questions) = Catalogues::new(cache.path(), fake.clone());
    let of = async || catalogues.of(&path, "r1", &[], &CancellationToken::new()).await;
    assert!(matches!(of().await, Err(CatalogueError::Nix(_))));
    *fake.options.lock().unwrap() = OPTIONS.to_owned();
    std::fs::create_dir(&path).unwrap();
    assert!(of().await.is_ok());
}

#[test]
fn what_another_program_has_done_is_not_the_fault_of_a_nixpkgs() {
    let is_lasting = |error: NixError| CatalogueError::from(error).is_lasting();
    assert!(!is_lasting(NixError::TooMuchMemory { limit: None }), "the computer was full");
    assert!(is_lasting(NixError::TooMuchMemory { limit: Some(1) }), "it is too large");
    assert!(!is_lasting(NixError::NotInstalled) && !is_lasting(NixError::Cancelled));
}
