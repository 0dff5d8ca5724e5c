//! The form of every shipped view in each of its revisions, in `tests/samples/views/NAME/N.json`.
//!
//! A sample is never edited and never removed. A view that changes raises its revision and adds
//! one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use retell::projections;
use retell::test::{check_merged_view, check_view};
use retell::{
    Aggregate, Instruction, LinkedProjection, Policy, Process, Projection, Registrar, Tick,
};

/// The projections that were checked.
#[derive(Default)]
struct Checked(BTreeSet<String>);

impl Registrar for Checked {
    fn aggregate<A: Aggregate>(self, _: A::Services) -> Self {
        self
    }

    fn projection<P: Projection>(mut self, _: P) -> Self {
        with_samples(P::NAME, check_view::<P>);
        self.0.insert(P::NAME.to_owned());
        self
    }

    fn merged<P: LinkedProjection>(mut self, _: P) -> Self {
        with_samples(P::NAME, check_merged_view::<P>);
        self.0.insert(P::NAME.to_owned());
        self
    }

    fn policy<P: Policy>(self, _: P) -> Self {
        self
    }

    fn process<P: Process>(self, _: P) -> Self {
        self
    }

    fn timer(self, _: fn(&Tick) -> Instruction) -> Self {
        self
    }
}

#[test]
fn every_shipped_view_has_the_form_of_its_revision() {
    let Checked(checked) = projections::register(Checked::default());
    let folders = fs::read_dir(folder()).expect("a folder of samples");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("a folder").file_name();
    let sampled: BTreeSet<_> =
        folders.map(name).map(|name| name.into_string().expect("a name")).collect();
    assert_eq!(sampled, checked);
}

fn with_samples(name: &str, check: impl FnOnce(&[(u32, &str)])) {
    let files = fs::read_dir(folder().join(name)).into_iter().flatten();
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("a sample").path();
        let revision = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        (revision.expect("N.json"), fs::read_to_string(&path).expect("a text"))
    };
    let samples: Vec<(u32, String)> = files.map(read).collect();
    let samples: Vec<_> = samples.iter().map(|(revision, it)| (*revision, it.as_str())).collect();
    check(&samples);
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/views")
}
