//! The files of the dashboard, as they were when the binary was built.

/// A file, and what it is.
pub(super) struct File {
    /// Relative to `/dashboard/`.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) content: &'static str,
}

/// The page, which names the others.
pub(super) const PAGE: File = File {
    path: "index.html",
    content_type: "text/html; charset=utf-8",
    content: include_str!("index.html"),
};

/// What it consists of.
pub(super) const FILES: &[File] = &[
    js("api.js", include_str!("api.js")),
    js("app.js", include_str!("app.js")),
    js("bar.js", include_str!("bar.js")),
    js("command-form.js", include_str!("command-form.js")),
    js("commands.js", include_str!("commands.js")),
    js("elements.js", include_str!("elements.js")),
    js("fields.js", include_str!("fields.js")),
    js("follow-ups.js", include_str!("follow-ups.js")),
    js("graphics.js", include_str!("graphics.js")),
    js("history.js", include_str!("history.js")),
    js("icons.js", include_str!("icons.js")),
    js("job-card.js", include_str!("job-card.js")),
    js("json.js", include_str!("json.js")),
    js("keys.js", include_str!("keys.js")),
    js("locate.js", include_str!("locate.js")),
    js("log-filters.js", include_str!("log-filters.js")),
    js("log-pages.js", include_str!("log-pages.js")),
    js("log-row.js", include_str!("log-row.js")),
    js("operations.js", include_str!("operations.js")),
    js("places.js", include_str!("places.js")),
    js("readers.js", include_str!("readers.js")),
    js("record-panel.js", include_str!("record-panel.js")),
    js("records.js", include_str!("records.js")),
    js("rows.js", include_str!("rows.js")),
    js("search.js", include_str!("search.js")),
    js("states.js", include_str!("states.js")),
    js("stream.js", include_str!("stream.js")),
    js("tables.js", include_str!("tables.js")),
    js("theme.js", include_str!("theme.js")),
    js("timeline.js", include_str!("timeline.js")),
    js("values.js", include_str!("values.js")),
    js("view-list.js", include_str!("view-list.js")),
    js("pages/aggregate.js", include_str!("pages/aggregate.js")),
    js("pages/find.js", include_str!("pages/find.js")),
    js("pages/home.js", include_str!("pages/home.js")),
    js("pages/log.js", include_str!("pages/log.js")),
    js("pages/parked.js", include_str!("pages/parked.js")),
    js("pages/projection.js", include_str!("pages/projection.js")),
    js("pages/projections.js", include_str!("pages/projections.js")),
    js("pages/replays.js", include_str!("pages/replays.js")),
    js("pages/send.js", include_str!("pages/send.js")),
    js("pages/sign-in.js", include_str!("pages/sign-in.js")),
    js("pages/trace.js", include_str!("pages/trace.js")),
    js("pages/view.js", include_str!("pages/view.js")),
    css("style/aggregate.css", include_str!("style/aggregate.css")),
    css("style/base.css", include_str!("style/base.css")),
    css("style/controls.css", include_str!("style/controls.css")),
    css("style/data.css", include_str!("style/data.css")),
    css("style/pages.css", include_str!("style/pages.css")),
    css("style/shell.css", include_str!("style/shell.css")),
    css("style/widths.css", include_str!("style/widths.css")),
    svg("icon.svg", include_str!("icon.svg")),
];

const fn js(path: &'static str, content: &'static str) -> File {
    File { path, content_type: "text/javascript; charset=utf-8", content }
}

const fn css(path: &'static str, content: &'static str) -> File {
    File { path, content_type: "text/css; charset=utf-8", content }
}

const fn svg(path: &'static str, content: &'static str) -> File {
    File { path, content_type: "image/svg+xml", content }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn beside(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("the folder of this file") {
            let entry = entry.expect("an entry");
            let name = format!("{prefix}{}", entry.file_name().display());
            if entry.file_type().expect("a type").is_dir() {
                beside(&entry.path(), &format!("{name}/"), found);
            } else if name != "files.rs" {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_beside_this_one_is_in_the_table() {
        let mut found = BTreeSet::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/dashboard");
        beside(&folder, "", &mut found);
        let table = FILES.iter().chain([&PAGE]).map(|file| file.path.to_owned());
        assert_eq!(table.collect::<BTreeSet<_>>(), found);
    }

    /// The browser test measures what the first view takes; this is all there is.
    #[test]
    fn all_of_it_is_small() {
        let bytes: usize = FILES.iter().chain([&PAGE]).map(|file| file.content.len()).sum();
        assert!(bytes < 256 * 1024, "{bytes} bytes");
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_absolute() {
        for file in FILES.iter().chain([&PAGE]) {
            let content = file.content.replace("http://www.w3.org/2000/svg", "");
            for outside in ["http://", "https://", "=\"/", "from \"/", "@import"] {
                assert!(!content.contains(outside), "{} has {outside}", file.path);
            }
            let is_css = file.path.ends_with(".css");
            assert!(!is_css || !content.contains("url("), "{}", file.path);
        }
    }
}
