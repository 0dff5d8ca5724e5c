//! The keys that there are. `config/default.toml` is their one list; nothing else names them all.
//!
//! A key's default says its type, and an empty section there takes any key.

use toml::de::{DeTable, DeValue};

/// What a setting of a kind looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
    List,
}

/// What stands at a path such as `log.partitions`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// A setting.
    Setting(Kind),
    /// A section of settings.
    Section,
    /// A section that takes any key.
    Open,
    /// A key in a section that takes any key.
    Free,
    /// Nothing.
    Unknown,
}

/// The keys, in the order of the file.
#[derive(Debug)]
pub(super) struct Known {
    places: Vec<(String, Place)>,
}

impl Known {
    /// The keys of `config/default.toml`.
    pub(super) fn of(defaults: &DeTable<'_>) -> Self {
        let mut places = Vec::new();
        collect(defaults, "", &mut places);
        places.sort_by_key(|(at, ..)| *at);
        Self { places: places.into_iter().map(|(_, path, place)| (path, place)).collect() }
    }

    pub(super) fn place(&self, path: &str) -> Place {
        let is_inside =
            |open: &str| path.strip_prefix(open).is_some_and(|key| key.starts_with('.'));
        for (known, place) in &self.places {
            if known == path {
                return *place;
            }
            if *place == Place::Open && is_inside(known) {
                return Place::Free;
            }
        }
        Place::Unknown
    }

    /// The section and the key of a setting. A key may have dots where any key is taken.
    pub(super) fn split<'a>(&self, path: &'a str) -> (&'a str, &'a str) {
        let open = self.places.iter().filter(|(_, place)| *place == Place::Open);
        let free = open.map(|(section, _)| section.len()).find(|&len| {
            path.get(len..).is_some_and(|key| key.starts_with('.'))
                && self.place(&path[..len]) == Place::Open
        });
        match free.or_else(|| path.rfind('.')) {
            Some(dot) => (&path[..dot], &path[dot + 1..]),
            None => ("", path),
        }
    }

    /// The path that an environment variable sets, with the kind of its value.
    pub(super) fn of_variable(&self, variable: &str) -> Option<(String, Kind)> {
        for (path, place) in &self.places {
            match place {
                Place::Setting(kind) if variable_of(path) == variable => {
                    return Some((path.clone(), *kind));
                }
                Place::Open => {
                    let prefix = variable_of(path) + "__";
                    if let Some(key) = variable.strip_prefix(&prefix) {
                        // librdkafka's properties have dots, variables cannot have them.
                        let key = key.to_lowercase().replace('_', ".");
                        return Some((format!("{path}.{key}"), Kind::Text));
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The setting or section whose path is most like this one, if any is like it.
    pub(super) fn nearest(&self, path: &str) -> Option<&str> {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let likeness = |known: &str| {
            let whole = strsim::normalized_damerau_levenshtein(known, path);
            // The right key in the wrong section.
            let key = strsim::normalized_damerau_levenshtein(&last(known), &last(path));
            whole.max(0.9 * key)
        };
        let known = self.places.iter().map(|(known, _)| (known.as_str(), likeness(known)));
        let nearest = known.max_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.filter(|(_, likeness)| *likeness > 0.5).map(|(known, _)| known)
    }

    /// Each setting and each section, in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Place)> {
        self.places.iter().map(|(path, place)| (path.as_str(), *place))
    }
}

/// The environment variable of a path: `RETELL_LOG__KAFKA__REPLICATION_FACTOR`.
pub(super) fn variable_of(path: &str) -> String {
    format!("RETELL_{}", path.replace('.', "__").to_uppercase())
}

fn collect(table: &DeTable<'_>, section: &str, places: &mut Vec<(usize, String, Place)>) {
    for (key, value) in table {
        let path = join(section, key.get_ref());
        let place = match value.get_ref() {
            DeValue::Table(table) if table.is_empty() => Place::Open,
            DeValue::Table(table) => {
                collect(table, &path, places);
                Place::Section
            }
            DeValue::Integer(_) => Place::Setting(Kind::Number),
            DeValue::Boolean(_) => Place::Setting(Kind::Boolean),
            DeValue::Array(_) => Place::Setting(Kind::List),
            DeValue::String(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
                Place::Setting(Kind::Text)
            }
        };
        places.push((key.span().start, path, place));
    }
}

/// `section.key`
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str = "[log]\nurl = ''\npartitions = 8\n\
        [log.kafka]\nmin_insync_replicas = 1\n[log.kafka.properties]\n[read]\npaused = []\n";

    fn known() -> Known {
        Known::of(DeTable::parse(DEFAULTS).expect("toml").get_ref())
    }

    #[test]
    fn a_key_has_the_type_of_its_default() {
        let known = known();
        assert_eq!(known.place("log.url"), Place::Setting(Kind::Text));
        assert_eq!(known.place("log.partitions"), Place::Setting(Kind::Number));
        assert_eq!(known.place("read.paused"), Place::Setting(Kind::List));
        assert_eq!(known.place("log"), Place::Section);
        assert_eq!(known.place("log.kafka.properties"), Place::Open);
        assert_eq!(known.place("log.kafka.properties.sasl.password"), Place::Free);
        assert_eq!(known.place("log.kafka.propertiesx"), Place::Unknown);
        assert_eq!(known.place("url"), Place::Unknown);
    }

    #[test]
    fn a_free_key_keeps_its_dots() {
        let known = known();
        let free = "log.kafka.properties.sasl.password";
        assert_eq!(known.split(free), ("log.kafka.properties", "sasl.password"));
        assert_eq!(known.split("log.partitions"), ("log", "partitions"));
        let like_free = "log.kafka.min_insync_replicas";
        assert_eq!(known.split(like_free), ("log.kafka", "min_insync_replicas"));
    }

    #[test]
    fn a_variable_names_its_sections_by_double_underscores() {
        let known = known();
        let of = |variable| known.of_variable(variable).map(|(path, _)| path);
        let path = of("RETELL_LOG__KAFKA__MIN_INSYNC_REPLICAS");
        assert_eq!(path.as_deref(), Some("log.kafka.min_insync_replicas"));
        let path = of("RETELL_LOG__KAFKA__PROPERTIES__SASL_PASSWORD");
        assert_eq!(path.as_deref(), Some("log.kafka.properties.sasl.password"));
        assert_eq!(of("RETELL_LOG_PARTITIONS"), None);
        assert_eq!(of("RETELL_LOG"), None);
    }

    #[test]
    fn the_nearest_key_is_found_also_from_another_section() {
        let known = known();
        assert_eq!(known.nearest("log.partition"), Some("log.partitions"));
        assert_eq!(known.nearest("kafka.partitions"), Some("log.partitions"));
        assert_eq!(known.nearest("lgo"), Some("log"));
        assert_eq!(known.nearest("something.else.entirely"), None);
    }
}
