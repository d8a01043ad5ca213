//! Precedence of the sources.

#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;

fn load(root: &Path, file: Option<&Path>, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(
        root,
        file,
        env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    )
}

fn url(engine_url: &str) -> String {
    format!("storages: {{ engines: {{ rqlite: {{ url: {engine_url} }} }} }}\n")
}

#[test]
fn defaults_need_no_checkout() {
    let dir = tempfile::tempdir().unwrap();
    let config = load(dir.path(), None, &[]).unwrap();
    assert_eq!(config.base_engine, Engine::Postgresql);
    assert_eq!(config.audit_engine, Engine::Sqlite);
    assert_eq!(config.users_dir, dir.path().join("var-pryv/users"));
    assert_eq!(config.rqlite_url, "http://localhost:4001");
    assert_eq!(config.domain, "unknown");
}

#[test]
fn each_source_hides_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("config");
    fs::create_dir(&folder).unwrap();
    let named = dir.path().join("named.yml");
    let seen =
        |file: Option<&Path>, env: &[(&str, &str)]| load(dir.path(), file, env).unwrap().rqlite_url;
    let variable = ("storages__engines__rqlite__url", "env");
    fs::write(
        folder.join("default-config.yml"),
        url("default") + "service: { domain: pryv.li }\n",
    )
    .unwrap();
    assert_eq!(seen(None, &[]), "default");
    fs::write(folder.join("production-config.yml"), url("production")).unwrap();
    assert_eq!(seen(None, &[]), "default");
    assert_eq!(seen(None, &[("NODE_ENV", "production")]), "production");
    fs::write(&named, url("named")).unwrap();
    assert_eq!(
        seen(None, &[("config", "named.yml"), ("NODE_ENV", "production")]),
        "named"
    );
    assert_eq!(seen(Some(&named), &[("NODE_ENV", "production")]), "named");
    assert_eq!(seen(Some(&named), &[variable]), "env");
    fs::write(folder.join("override-config.yml"), url("override")).unwrap();
    assert_eq!(seen(Some(&named), &[variable]), "override");
    assert_eq!(seen(Some(&named), &[("NODE_ENV", "test")]), "named");
    assert_eq!(load(dir.path(), None, &[]).unwrap().domain, "pryv.li");
}

#[test]
fn the_default_path_hides_the_placeholder() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("config")).unwrap();
    let text = "storages: { engines: { sqlite: { path: REPLACE ME } } }";
    fs::write(dir.path().join("config/default-config.yml"), text).unwrap();
    assert!(load(dir.path(), None, &[]).is_ok());
    fs::write(dir.path().join("config/override-config.yml"), text).unwrap();
    assert!(load(dir.path(), None, &[]).is_err());
}

#[test]
fn errors_name_key_and_source() {
    let dir = tempfile::tempdir().unwrap();
    let error = load(dir.path(), None, &[("storages__base__engine", "mongodb")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("storages.base.engine")
            && error.contains("mongodb")
            && error.contains("environment"),
        "{error}"
    );
    let absent = dir.path().join("absent.yml");
    assert!(
        load(dir.path(), Some(&absent), &[])
            .unwrap_err()
            .to_string()
            .contains("absent.yml")
    );
    let bad = dir.path().join("bad.yml");
    fs::write(&bad, "a: [1,\n").unwrap();
    let error = load(dir.path(), Some(&bad), &[]).unwrap_err().to_string();
    assert!(
        error.contains("bad.yml") && !error.contains('\n'),
        "{error}"
    );
}

#[test]
fn variables_are_json_when_they_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let env = [
        ("storages__base", r#"{"engine":"sqlite"}"#),
        ("dnsLess__publicUrl", "http://x/"),
        ("service__domain", "undefined"),
    ];
    let config = load(dir.path(), None, &env).unwrap();
    assert_eq!(
        (config.base_engine, config.domain.as_str()),
        (Engine::Sqlite, "http://x/")
    );
}

#[test]
fn postgres_is_found_with_what_libpq_adds() {
    let dir = tempfile::tempdir().unwrap();
    let home = ("HOME", "/nowhere");
    let found = load(dir.path(), None, &[home]).unwrap().postgres;
    assert_eq!(found.address(), "127.0.0.1:5432/pryv-node");
    assert_eq!((found.user.as_str(), found.password), ("pryv", None));
    let usual = Path::new("/nowhere/.postgresql/root.crt");
    assert_eq!(
        (found.tls, found.roots),
        (TlsMode::Prefer, Some(Roots::File(usual.to_owned())))
    );

    let variables = [
        ("storages__engines__postgresql__port", "6000"),
        ("storages__engines__postgresql__password", "12345"),
        ("PGPASSWORD", "other"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "ca.pem"),
    ];
    let found = load(dir.path(), None, &variables).unwrap().postgres;
    assert_eq!((found.port, found.tls), (6000, TlsMode::VerifyFull));
    assert_eq!(found.roots, Some(Roots::File(dir.path().join("ca.pem"))));
    assert!(!format!("{found:?}").contains("12345"));
    assert_eq!(found.password.as_ref().map(Password::reveal), Some("12345"));

    // The certificates of this system are trusted for names alone.
    let system = ("PGSSLROOTCERT", "system");
    let found = load(dir.path(), None, &[system]).unwrap().postgres;
    assert_eq!(
        (found.tls, found.roots),
        (TlsMode::VerifyFull, Some(Roots::System))
    );
    assert!(load(dir.path(), None, &[system, ("PGSSLMODE", "verify-ca")]).is_err());

    for (key, value) in [("sslmode", "maybe"), ("port", "http"), ("password", "[1]")] {
        let key = format!("storages__engines__postgresql__{key}");
        let error = load(dir.path(), None, &[(&key, value)]).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(&key.replace("__", ".")), "{said}");
        assert!(!said.contains("[1]"), "{said}");
    }
}

#[test]
fn postgres_may_be_given_as_a_url() {
    let dir = tempfile::tempdir().unwrap();
    let key = "storages__engines__postgresql__url";
    let with = |url: &str, more: &[(&str, &str)]| {
        let mut env = vec![(key, url)];
        env.extend(more);
        load(dir.path(), None, &env).map(|config| config.postgres)
    };
    let found = with(
        "postgres://al%40ice:s%2Fecret@db.example:6001/pryv?sslmode=verify-full&sslrootcert=my%20ca.pem",
        &[("PGHOST", "other"), ("storages__engines__postgresql__port", "1")],
    )
    .unwrap();
    assert_eq!(found.address(), "db.example:6001/pryv");
    assert_eq!(found.user, "al@ice");
    assert_eq!(
        found.password.as_ref().map(Password::reveal),
        Some("s/ecret")
    );
    assert_eq!(found.tls, TlsMode::VerifyFull);
    assert_eq!(found.roots, Some(Roots::File(dir.path().join("my ca.pem"))));
    // Values that the URL leaves open come from elsewhere.
    let found = with("postgresql://db.example", &[("PGUSER", "bob")]).unwrap();
    assert_eq!(found.address(), "db.example:5432/pryv-node");
    assert_eq!((found.user.as_str(), found.password), ("bob", None));
    for url in [
        "mysql://u:tell-nobody@h/d",
        "postgres://u:tell-nobody@h,i/d",
        "postgres://u:tell-nobody@h/d?options=-c",
        "postgres://u:x?tell-nobody@h/d",
        "postgres://u:x?a&tell-nobody=1@h/d",
        "postgres://u:x@h/d?sslmode=tell-nobody",
        "postgres://u:x@h:tell-nobody/d",
        "postgres:u:tell-nobody@h",
    ] {
        let said = with(url, &[]).unwrap_err().to_string();
        assert!(
            said.contains("storages.engines.postgresql") && !said.contains("tell-nobody"),
            "{said}"
        );
    }
}

/// An address at the wrong place is shown no more than at the right one.
#[test]
fn addresses_with_a_password_are_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    for address in [
        "postgres://u:tell-nobody@h/d",
        "u:tell-nobody@h",
        "host=h password=tell-nobody",
        "http://u:tell-nobody@h:4001",
    ] {
        for key in [
            "storages__engines__postgresql__host",
            "storages__engines__postgresql__port",
            "storages__engines__postgresql__database",
            "storages__engines__postgresql__sslmode",
            "storages__base__engine",
            "storages__series__engine",
            "platform__piiMode",
            "eventFiles__engine__modulePath",
            "PGHOST",
            "PGPORT",
            "PGDATABASE",
            "PGSSLMODE",
        ] {
            let error = load(dir.path(), None, &[(key, address)]).unwrap_err();
            assert!(!error.to_string().contains("tell-nobody"), "{error}");
        }
    }
    let file = dir.path().join("bad.yml");
    for text in [
        "storages: postgres://u:tell-nobody@h/d: x\n",
        "'http://u:tell-nobody@h': 1\n'http://u:tell-nobody@h': 2\n",
        "a: *u:tell-nobody@h\n",
        "storages: { engines: { rqlite: { url: [http://u:tell-nobody@h] } } }\n",
    ] {
        fs::write(&file, text).unwrap();
        let said = load(dir.path(), Some(&file), &[]).unwrap_err().to_string();
        assert!(!said.contains("tell-nobody"), "{text}: {said}");
    }
}

#[test]
fn what_goes_unprotected_over_a_network_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.pem");
    fs::write(&root, "").unwrap();
    let root = root.to_str().unwrap();
    let warnings = |env: &[(&str, &str)], index: bool| {
        let mut all = vec![
            ("storages__engines__postgresql__password", "s3cret"),
            ("HOME", "/nowhere"),
        ];
        all.extend(env);
        load(dir.path(), None, &all).unwrap().warnings(index)
    };
    let host = "storages__engines__postgresql__host";
    let rqlite = "storages__engines__rqlite__url";
    let base = ("storages__base__engine", "sqlite");
    for env in [
        &[][..],
        &[(host, "/run/postgresql")],
        &[(host, "::1"), (rqlite, "http://[::1]:4001")],
        &[(host, "db"), ("PGSSLMODE", "verify-full")],
        &[
            (host, "db"),
            ("PGSSLMODE", "require"),
            ("PGSSLROOTCERT", root),
        ],
        &[(rqlite, "https://u:p@other:4001")],
        &[(host, "db"), base, ("storages__series__engine", "sqlite")],
    ] {
        assert_eq!(warnings(env, true), Vec::<String>::new(), "{env:?}");
    }
    for env in [
        &[(host, "db")][..],
        &[(host, "db"), ("PGSSLMODE", "disable")],
        &[(host, "db"), ("PGSSLMODE", "require")],
        &[
            (host, "db"),
            ("PGSSLMODE", "require"),
            ("PGSSLROOTCERT", "/nowhere"),
        ],
        // Series are in PostgreSQL then.
        &[(host, "192.0.2.1"), base],
        &[(rqlite, "http://other:4001")],
        &[(rqlite, "http://u:s3cret@192.0.2.1:4001")],
    ] {
        let found = warnings(env, true);
        assert_eq!(found.len(), 1, "{env:?}: {found:?}");
        assert!(!found[0].contains("s3cret"), "{found:?}");
    }
    assert!(warnings(&[(rqlite, "http://other:4001")], false).is_empty());
}

#[test]
fn defaults_are_named_where_nothing_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let defaults = |env: &[(&str, &str)]| load(dir.path(), None, env).unwrap().defaults(dir.path());
    let said = defaults(&[("NODE_ENV", "production"), ("PGHOST", "db")]).unwrap();
    for part in [
        "db:5432/pryv-node",
        "var-pryv/users",
        "http://localhost:4001",
    ] {
        assert!(said.text.contains(part), "{said}");
    }
    assert_eq!(defaults(&[("storages__base__engine", "sqlite")]), None);
    fs::create_dir(dir.path().join("config")).unwrap();
    for name in ["production", "default"] {
        let file = dir.path().join(format!("config/{name}-config.yml"));
        fs::write(&file, "audit: { active: true }\n").unwrap();
        assert_eq!(defaults(&[("NODE_ENV", "production")]), None);
        fs::remove_file(file).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn variables_and_files_of_libpq_count_where_nothing_else_is_set() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".pgpass");
    fs::write(&file, "other:*:*:*:wrong\ndb:6000:d:u:right\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let home = dir.path().display().to_string();
    let mut variables = vec![
        ("HOME", home.as_str()),
        ("PGHOST", "db"),
        ("PGPORT", "6000"),
        ("PGDATABASE", "d"),
        ("PGUSER", "u"),
    ];
    let password = |variables: &[(&str, &str)]| {
        let found = load(dir.path(), None, variables).unwrap().postgres;
        found.password.map(|p| p.reveal().to_owned())
    };
    assert_eq!(password(&variables).as_deref(), Some("right"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(password(&variables), None);
    variables.push(("PGPASSWORD", "given"));
    assert_eq!(password(&variables).as_deref(), Some("given"));
    let set = ("storages__engines__postgresql__host", "127.0.0.1");
    variables.push(set);
    let found = load(dir.path(), None, &variables).unwrap().postgres;
    assert_eq!(found.address(), "127.0.0.1:6000/d");
}

#[test]
fn influxdb_is_found_with_what_we_add() {
    let dir = tempfile::tempdir().unwrap();
    let with = |env: &[(&str, &str)]| {
        let env: Vec<(String, &str)> = env
            .iter()
            .map(|(name, value)| (format!("storages__engines__influxdb__{name}"), *value))
            .collect();
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (&**name, *value)).collect();
        load(dir.path(), None, &env).map(|config| config.influxdb)
    };
    let usual = with(&[]).unwrap();
    assert_eq!(usual.address(), "127.0.0.1:8086");
    assert_eq!(
        (&*usual.username, usual.password.reveal()),
        ("root", "root")
    );
    assert!(!usual.tls && !usual.named);
    let named = with(&[("host", "::1"), ("username", "u"), ("tls", "true")]).unwrap();
    assert_eq!(named.address(), "[::1]:8086");
    assert_eq!((&*named.username, named.password.reveal()), ("u", ""));
    assert!(named.tls && named.named);
    for (name, value) in [
        ("host", "http://u:secret@h"),
        ("host", "u:secret@h"),
        ("port", "x"),
        ("tls", "maybe"),
        ("timeout", "0"),
    ] {
        let error = with(&[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("secret"), "{error}");
    }
    let warnings = |more: &[(&str, &str)]| {
        let all = [
            &[
                ("storages__series__engine", "influxdb"),
                ("storages__engines__influxdb__host", "10.0.0.1"),
            ],
            more,
        ];
        load(dir.path(), None, &all.concat())
            .unwrap()
            .warnings(false)
    };
    assert!(warnings(&[])[0].starts_with("all points of series go"));
    let named = ("storages__engines__influxdb__username", "u");
    assert!(warnings(&[named])[0].starts_with("the password and all points"));
    assert!(warnings(&[("storages__engines__influxdb__tls", "true")]).is_empty());
}
