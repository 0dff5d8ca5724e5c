//! Layers, problems and prints of settings.

use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// A profile file that is there while the test runs.
struct Profile {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn profile(text: &str) -> Profile {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("my.toml");
    std::fs::write(&path, text).expect("a file");
    Profile { _dir: dir, path }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Config {
    try_load(file, environment, flags).expect("right settings")
}

fn try_load(
    file: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Config, Problems> {
    let profile = profile(file);
    Config::load(Some(&profile.path), pairs(environment).into_iter(), &pairs(flags))
}

/// Each problem as it is shown, without the folder of the profile file.
fn problems(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Vec<String> {
    let problems = try_load(file, environment, flags).expect_err("wrong settings");
    let shown = problems.iter().map(Problem::to_string);
    shown.map(|text| text.rsplit_once("/my.toml").map_or(text.clone(), |(_, t)| t.into())).collect()
}

#[test]
fn every_default_has_a_field_and_every_field_a_default() {
    let config = Config::defaults();
    assert_eq!(config.log.url, LogUrl::Embedded("./data/log".into()));
    assert_eq!(config.http.request_timeout, Duration::from_secs(10));
    assert!(config.effective().iter().all(|setting| setting.source == Source::Default));
}

#[test]
fn every_profile_that_is_shipped_loads() {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut loaded = Vec::new();
    for file in profiles.read_dir().expect("a folder") {
        let path = file.expect("a file").path();
        let config = Config::load(Some(&path), std::iter::empty(), &[]);
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        loaded.push((name, config.expect("right settings")));
    }
    let of = |name| &loaded.iter().find(|(loaded, _)| loaded == name).expect("shipped").1;
    let (default, kafka, docker) = (of("default"), of("kafka"), of("docker"));
    assert_eq!(default.print().lines().count(), Config::defaults().print().lines().count());
    assert_eq!(kafka.views.url.to_string(), "redis://127.0.0.1:6379/0");
    assert_eq!(docker.log.url.to_string(), "kafka://kafka:9092/retell.events");
    let replicas = &of("production").log.kafka;
    assert_eq!((replicas.replication_factor, replicas.min_insync_replicas), (3, 2));
}

#[test]
fn flags_win_over_the_environment_and_it_over_the_file() {
    let file = "[log]\npartitions = 1\n[http]\nbody_bytes_max = 1\nbase_path = '/a'";
    let environment =
        [("RETELL_LOG__PARTITIONS", "2"), ("RETELL_HTTP__BODY_BYTES_MAX", "2_000"), ("PATH", "x")];
    let config = load(file, &environment, &[("log.partitions", "3")]);
    assert_eq!((config.log.partitions, config.http.body_bytes_max), (3, 2_000));
    assert_eq!(config.http.base_path, "/a");
    assert_eq!(config.write.attempts_max, 3, "a default");
}

#[test]
fn a_list_in_the_environment_is_separated_by_commas() {
    let paused = |text| load("", &[("RETELL_READ__PAUSED", text)], &[]).read.paused;
    assert_eq!(paused("accounts, messages"), ["accounts", "messages"]);
    assert!(paused("").is_empty());
}

#[test]
fn properties_take_any_key_and_turn_values_to_text() {
    let file = "[log.kafka.properties]\n\"sasl.username\" = 'ann'\n\
        enable.ssl.certificate.verification = false\nretries = 0x10\n";
    let environment = [("RETELL_LOG__KAFKA__PROPERTIES__SASL_PASSWORD", "s3cret")];
    let flags = [("log.kafka.properties.debug", "broker")];
    let properties = load(file, &environment, &flags).log.kafka.properties;
    let properties: Vec<_> = properties.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected = [
        ("debug", "broker"),
        ("enable.ssl.certificate.verification", "false"),
        ("retries", "16"),
        ("sasl.password", "s3cret"),
        ("sasl.username", "ann"),
    ];
    assert_eq!(properties, expected);
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let secret = profile("redis://:s3cret@h:1/0\n");
    let path = secret.path.to_str().expect("text");
    let config = load("", &[("RETELL_VIEWS__URL_FILE", path)], &[]);
    let ViewsUrl::Redis(url) = &config.views.url else { unreachable!("{:?}", config.views.url) };
    assert_eq!(url.as_str(), "redis://:s3cret@h:1/0");

    let variable = "RETELL_LOG__KAFKA__PROPERTIES__SASL_PASSWORD_FILE";
    let config = load("", &[(variable, path)], &[]);
    assert_eq!(config.log.kafka.properties["sasl.password"], "redis://:s3cret@h:1/0");
    // Not a secret itself, but the name of a file that librdkafka reads.
    let variable = "RETELL_LOG__KAFKA__PROPERTIES__SASL_OAUTHBEARER_ASSERTION_FILE";
    let config = load("", &[(variable, "x")], &[]);
    assert_eq!(config.log.kafka.properties["sasl.oauthbearer.assertion.file"], "x");

    let both = [("RETELL_VIEWS__URL", "memory:"), ("RETELL_VIEWS__URL_FILE", path)];
    let twice = "RETELL_VIEWS__URL_FILE: views.url: RETELL_VIEWS__URL sets it too; \
        only one of them may";
    assert_eq!(problems("", &both, &[]), [twice]);
    let gone = problems("", &[("RETELL_VIEWS__URL_FILE", "/nowhere/at-all")], &[]);
    assert!(gone[0].contains("cannot read /nowhere/at-all"), "{gone:?}");
    // Only secrets: this one is a mistake.
    let unknown = problems("", &[("RETELL_HTTP__LISTEN_FILE", path)], &[]);
    assert!(unknown[0].ends_with("did you mean RETELL_HTTP__LISTEN?"), "{unknown:?}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let file = "[http]\nlisen = '127.0.0.1:1'\n[kafka]\nx = 1\n\n[log]\nreplication_factor = 3";
    let environment = [("RETELL_LOG_PARTITIONS", "3"), ("RETELL_TOKEN", "t"), ("RETELL_URL", "u")];
    let others = [("RETELL_TEST_KAFKA", "k"), ("RETELL_TARGET", "t"), ("RETELL_KAFKA_LIBS", "l")];
    let environment = [&environment[..], &others].concat();
    let expected = [
        ":2: unknown key http.lisen; did you mean http.listen?",
        ":3: unknown key kafka; did you mean log.kafka?",
        ":7: unknown key log.replication_factor; did you mean log.kafka.replication_factor?",
        "RETELL_LOG_PARTITIONS: unknown key log_partitions; did you mean RETELL_LOG__PARTITIONS?",
        "command line: unknown key log.zzzzzz",
        "command line: http: expected the path of a setting, found a section",
    ];
    assert_eq!(problems(file, &environment, &[("log.zzzzzz", "x"), ("http", "x")]), expected);
}

#[test]
fn a_wrong_type_says_the_key_both_types_and_where() {
    let file = "http = 1\n[log]\npartitions = '8'\nurl = 5\n[read]\npaused = ['a', 1]\n\
        [log.kafka.properties]\nretries = [1]\n[views.url]\n";
    let expected = [
        ":1: http: expected a section, found the number 1",
        ":3: log.partitions: expected a whole number, found the text \"8\"",
        ":4: log.url: expected a text, found the number 5",
        ":6: read.paused: expected a list of texts, found a list that holds something else",
        ":8: log.kafka.properties.retries: expected a text, a number, true or false, \
            found a list that holds something else",
        ":9: views.url: expected a text, found a section",
        "RETELL_WRITE__ATTEMPTS_MAX: write.attempts_max: expected a whole number, \
            found the text \"many\"",
    ];
    assert_eq!(problems(file, &[("RETELL_WRITE__ATTEMPTS_MAX", "many")], &[]), expected);
}

#[test]
fn values_that_cannot_be_are_refused_all_at_once() {
    let file = "[http]\nlisten = 'here'\nbase_path = 'x/'\nbody_bytes_max = -1\n\
        [log]\nurl = 'file:x'\npartitions = 0\n[log.kafka]\nmin_insync_replicas = 2\n\
        [views]\nnamespace = '{x}'\n[node]\naddress = 'node-a'\nid = 'a b'\n\
        [read]\npaused = ['Accounts']\n[queries]\nwait_default_ms = 2\nwait_max_ms = 1\n\
        [telemetry]\nformat = 'xml'\nfilter = 'info,='\n[write]\nqueue_len_max = 5_000_000_000";
    let found = problems(file, &[], &[]).join("\n");
    for expected in [
        ":2: http.listen: invalid socket address syntax",
        ":3: http.base_path: \"x/\" must be empty, or begin with /",
        ":4: http.body_bytes_max: -1 must be at least 1",
        ":6: log.url: expected embedded:DIRECTORY, kafka://",
        ":7: log.partitions: 0 must be at least 1",
        ":9: log.kafka.min_insync_replicas: 2 in-sync replicas of",
        ":11: views.namespace: \"{x}\" must be",
        ":13: node.address: \"node-a\" must be",
        ":14: node.id: \"a b\" must be",
        ":16: read.paused: \"Accounts\" is no name",
        ":18: queries.wait_default_ms: 2 is more than queries.wait_max_ms, which is 1",
        ":21: telemetry.format: unknown variant `xml`, expected `text` or `json`",
        ":22: telemetry.filter: \"info,=\":",
        ":24: write.queue_len_max: 5000000000 must be at most 1000000000",
    ] {
        assert!(found.contains(expected), "{expected}\n is not in\n{found}");
    }
    assert_eq!(found.lines().count(), 14, "{found}");
}

#[test]
fn one_folder_cannot_hold_both_log_and_views() {
    let file = "[log]\nurl = 'embedded:./data'\n[views]\nurl = 'embedded:data/'";
    let found = problems(file, &[], &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with(":4: views.url: log.url has the same folder"), "{found:?}");
}

#[test]
fn topics_for_other_teams_need_kafka_and_a_name_each() {
    let kafka = ("RETELL_LOG__URL", "kafka://a:1/retell.events");
    let told = |settings: &[(&str, &str)]| problems("", settings, &[]).join("\n");
    let inbox = ("RETELL_INBOX__ENABLED", "true");
    let outbox = ("RETELL_OUTBOX__ENABLED", "true");
    assert!(told(&[inbox]).contains("inbox.enabled: it needs a log on Kafka"));
    assert!(told(&[outbox]).contains("outbox.enabled: it needs a log on Kafka"));
    for (setting, said) in [
        (("RETELL_OUTBOX__TOPIC", "retell.events"), "is the log's own topic"),
        (("RETELL_OUTBOX__TOPIC", "a/b"), "no name that Kafka takes"),
        (("RETELL_INBOX__TOPIC", "retell.outbox"), "need a topic each"),
        (("RETELL_INBOX__RESULTS_TOPIC", "retell.commands"), "need a topic each"),
        (("RETELL_INBOX__GROUP", ""), "must be 1 to 255"),
        (("RETELL_OUTBOX__SOURCE", "a b"), "no URI reference"),
        (("RETELL_OUTBOX__DATASCHEMA_URL", "schemas"), "must be empty or such as"),
    ] {
        assert!(told(&[kafka, inbox, outbox, setting]).contains(said), "{setting:?}");
        // What is off is in nobody's way.
        load("", &[kafka, setting], &[]);
    }
    load("", &[kafka, inbox, outbox], &[]);
}

#[test]
fn a_wrong_value_is_not_blamed_on_another_setting() {
    // With the default of 1,000 in its place, wait_default_ms would be above wait_max_ms.
    let file = "[queries]\nwait_default_ms = -1\nwait_max_ms = 500";
    let expected = [":2: queries.wait_default_ms: -1 must be at least 0"];
    assert_eq!(problems(file, &[], &[]), expected);
}

#[test]
fn a_file_that_is_no_toml_or_not_there_says_so() {
    let found = problems("[http]\nlisten = \n[log\nx = 1", &[], &[]);
    assert!(found.len() == 2 && found[0].starts_with(":2: "), "{found:?}");
    let nowhere = Path::new("nowhere/x.toml");
    let error = Config::load(Some(nowhere), std::iter::empty(), &[]).expect_err("not there");
    assert!(error.to_string().contains("nowhere/x.toml: cannot read it"), "{error}");
}

#[test]
fn the_print_loads_again_and_says_what_came_from_where() {
    let file = "[log]\npartitions = 3\n[log.kafka.properties]\n'client.id' = 'a \"b\"'";
    let flags = [("http.listen", "127.0.0.1:0")];
    let environment = [("RETELL_READ__PAUSED", "accounts")];
    let printed = load(file, &environment, &flags).print();
    for line in [
        "listen = \"127.0.0.1:0\"  # command line",
        "paused = [\"accounts\"]  # RETELL_READ__PAUSED",
        "queue_len_max = 4096",
        "[log.kafka.properties]",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    let of_file = printed.lines().find(|line| line.starts_with("partitions = 3  # "));
    assert!(of_file.is_some_and(|line| line.ends_with("my.toml:2")), "{printed}");
    let again = load(&printed, &[], &[]);
    let values = |config: &Config| {
        let settings = config.effective().iter();
        settings.map(|s| (s.section.clone(), s.key.clone(), s.value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&load(file, &environment, &flags)));
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let file = "[views]\nurl = 'redis://ann:s3cret@h:1/0'\n[log.kafka.properties]\n\
        'sasl.password' = 's3cret'\n'sasl.jaas.config' = 's3cret'\n'ssl.key.pem' = 's3cret'\n\
        'sasl.oauthbearer.client.secret' = 's3cret'\n'my.token' = 's3cret'";
    let config = load(file, &[], &[]);
    let shown = format!("{}{config:?}", config.print());
    assert!(!shown.contains("s3cret") && shown.contains("redis://ann:***@h:1/0"), "{shown}");
    let wrong = "[views]\nurl = 'redis://ann:s3cret@:1/0'\n[log]\nurl = 'kafka://u:s3cret@h:1/t'";
    let found = problems(wrong, &[], &[]).join("\n");
    assert!(!found.contains("s3cret") && found.lines().count() == 2, "{found}");
}

#[test]
fn a_library_user_gets_settings_for_a_folder_or_none() {
    let config = Config::embedded(Path::new("/srv/shop"));
    assert_eq!(config.log.url, LogUrl::Embedded("/srv/shop/log".into()));
    assert_eq!(config.http.listen.port(), 0);
    let config = Config::ephemeral();
    assert_eq!((config.log.url, config.views.url), (LogUrl::Memory, ViewsUrl::Memory));
}
