//! Plays every input that is kept, so that what was found once stays mended.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_kept_input_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut played = 0;
    for target in TARGETS {
        let files = inputs(&corpus.join(target.name));
        assert!(!files.is_empty(), "{} has no corpus", target.name);
        for file in files {
            let input = fs::read(&file).unwrap();
            let outcome = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(outcome.is_ok(), "{} breaks {}", file.display(), target.name);
            played += 1;
        }
    }
    println!("fuzz corpus: {played} inputs");
    let folders = fs::read_dir(&corpus).unwrap().count();
    assert_eq!(folders, TARGETS.len(), "every folder of the corpus has a target");
}

#[test]
fn the_example_events_hold() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    for file in inputs(&events) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let target = if name.starts_with("provisioner-") { "cloudformation_event" } else { "api_gateway_event" };
        let input = fs::read(&file).unwrap();
        let target = TARGETS.iter().find(|known| known.name == target).unwrap();
        (target.run)(&input);
    }
}
