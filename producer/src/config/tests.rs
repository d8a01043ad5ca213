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
    let found = load(dir.path(), None, &[]).unwrap().postgres;
    assert_eq!(found.address(), "127.0.0.1:5432/pryv-node");
    assert_eq!((found.user.as_str(), found.password), ("pryv", None));
    assert_eq!(
        (found.tls, found.root_certificates),
        (TlsMode::Prefer, None)
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
    assert_eq!(found.root_certificates, Some(dir.path().join("ca.pem")));
    assert!(!format!("{found:?}").contains("12345"));
    assert_eq!(found.password.as_ref().map(Secret::reveal), Some("12345"));

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
    assert_eq!(found.password.as_ref().map(Secret::reveal), Some("s/ecret"));
    assert_eq!(found.tls, TlsMode::VerifyFull);
    assert_eq!(found.root_certificates, Some(dir.path().join("my ca.pem")));
    // What the URL leaves open comes from elsewhere.
    let found = with("postgresql://db.example", &[("PGUSER", "bob")]).unwrap();
    assert_eq!(found.address(), "db.example:5432/pryv-node");
    assert_eq!((found.user.as_str(), found.password), ("bob", None));
    for url in [
        "mysql://u:tell-nobody@h/d",
        "postgres://u:tell-nobody@h,i/d",
        "postgres://u:tell-nobody@h/d?options=-c",
    ] {
        let said = with(url, &[]).unwrap_err().to_string();
        assert!(
            said.contains("postgresql.url") && !said.contains("tell-nobody"),
            "{said}"
        );
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
