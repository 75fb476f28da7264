//! The fuzz target for configuration files.

use brokkr_testkit_fuzz::{Fuzz, SECRET};

use super::*;
use crate::config::show::{as_toml, flattened};

const WORDS: &[&str] = &[
    "[http]\n",
    "[database]\n",
    "[admin]\n",
    "[limits]\n",
    "[agent]\n",
    "[agent.kubernetes]\n",
    "[telemetry]\n",
    "[http.tls]\n",
    "listen = \"127.0.0.1:1\"\n",
    "url = \"postgres://me:sesame@db/x\"\n",
    "url = \"postgres://db/x?password=sesame\"\n",
    "pak_hash = \"sesame\"\n",
    "slots = 9\n",
    "lease_seconds = ",
    "log_format = \"json\"\n",
    "=",
    ".",
    "\"",
    "'''",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "true",
    "inf",
];

/// The keys whose values may be a secret.
const SECRET_KEYS: [&str; 2] = ["database.url", "admin.pak_hash"];

/// Names of keys are told, since the error would be of no use without them.
const NAMES_A_KEY: [&str; 2] = ["there is no such key", "duplicate key"];

#[test]
fn configuration() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    Fuzz::new("configuration", WORDS).run_texts(|text| match read(&file, text) {
        Ok(loaded) => {
            shows_no_secret(&loaded);
            is_the_same_again(&loaded, &file);
            let set = flattened(&loaded.config)
                .into_iter()
                .filter(|(key, _)| loaded.origin(key) != "default");
            format!("set: {:?}", set.map(|(key, _)| key).collect::<Vec<_>>())
        }
        Err(error) => {
            let told = error.to_string();
            let quoting = told.lines().find(|line| {
                line.contains(SECRET) && !NAMES_A_KEY.iter().any(|of_key| line.contains(of_key))
            });
            assert!(quoting.is_none(), "the error quotes a value: {told}");
            let place = file.display().to_string();
            let words = told.replace(&place, "");
            words.chars().filter(char::is_ascii_alphabetic).take(40).collect()
        }
    });
}

fn read(file: &Path, text: &str) -> anyhow::Result<Loaded> {
    std::fs::write(file, text).unwrap();
    load_from(
        Some(file.to_path_buf()),
        Env::prefixed("NOT_SET_ANYWHERE__"),
        Flags::default(),
    )
}

/// What is printed of a configuration has no secret in it, unless that was put where none belongs.
fn shows_no_secret(loaded: &Loaded) {
    let elsewhere = flattened(&loaded.config)
        .into_iter()
        .any(|(key, value)| !SECRET_KEYS.contains(&key.as_str()) && value.to_string().contains(SECRET));
    let as_password = loaded.config.database.url.starts_with("postgres://me:sesame@")
        || !loaded.config.database.url.contains(SECRET);
    if !elsewhere && as_password {
        assert!(!as_toml(loaded).contains(SECRET), "a secret is shown");
    }
}

/// What is printed of a configuration, read as a file, is the same configuration, but for what is masked.
fn is_the_same_again(loaded: &Loaded, file: &Path) {
    let printed = as_toml(loaded);
    let again = read(file, &printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    let plain = |config: &Config| {
        let mut keys = flattened(config);
        keys.retain(|(key, _)| !SECRET_KEYS.contains(&key.as_str()));
        keys
    };
    assert_eq!(plain(&again.config), plain(&loaded.config), "{printed}");
}
