//! The rules that a compiler does not hold: who may import whom, how long things are, how they are
//! named, what is in the settings, and what the build depends on.
//!
//! A rule reads sources and names each place that breaks it. Each has two tests: the repository
//! keeps it, and a planted mistake is found. Files and folders that do not exist yet break nothing.

mod architecture {
    mod blocks;
    mod dependencies;
    mod documents;
    mod examples;
    mod generic;
    mod imports;
    mod layers;
    mod licence;
    mod metrics;
    mod names;
    mod portable;
    mod promises;
    mod report;
    mod scripts;
    mod settings;
    mod sizes;
    mod soundness;
    mod tree;
}
