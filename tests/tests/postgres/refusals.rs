//! What the server refuses, and what a connection demands of it: one line that names the cause.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::postgres::Setup;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tempfile::TempDir;

#[test]
fn refusals_name_the_cause_and_never_the_password() {
    let access = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let setup = Setup {
        access,
        ..Setup::default()
    };
    let Some(case) = Case::new(&setup, &SMALL) else {
        return;
    };
    case.server.sql(
        &case.database,
        "CREATE ROLE reader LOGIN PASSWORD 's3cret-right'; GRANT pg_read_all_data TO reader",
    );
    let user = ("storages__engines__postgresql__user", "reader");
    let password = |text| ("storages__engines__postgresql__password", text);
    let made = case.backup("right", &[user, password("s3cret-right")]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let made = case.backup("variable", &[user, ("PGPASSWORD", "s3cret-right")]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));

    let port = case.server.port;
    let url = format!(
        "postgres://reader:s3cret%2Dright@127.0.0.1:{port}/{}?sslmode=prefer",
        case.database
    );
    let made = case.backup("url", &[("storages__engines__postgresql__url", &url)]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let file = case.folder.path().join("passwords");
    fs::write(&file, format!("127.0.0.1:{port}:*:reader:s3cret-right\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let made = case.backup("file", &[user, ("PGPASSFILE", file.to_str().unwrap())]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));

    let none = [user];
    let wrong = [user, password("s3cret-wrong")];
    let database = [
        user,
        password("s3cret-right"),
        ("storages__engines__postgresql__database", "nowhere"),
    ];
    let closed = [
        user,
        password("s3cret-right"),
        ("storages__engines__postgresql__port", "1"),
    ];
    let object = [user, password("{\"s3cret-object\": 1}")];
    for (settings, cause) in [
        (&none[..], "password missing"),
        (&wrong, "correct the user and password"),
        (&database, "correct the name of the database"),
        (&closed, "refused"),
        (&object, "password"),
    ] {
        let said = case.failure(settings);
        assert!(said.contains(cause), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    case.server.sql(
        &case.database,
        "REVOKE pg_read_all_data FROM reader; GRANT SELECT ON users_index TO reader",
    );
    let said = case.failure(&[user, password("s3cret-right")]);
    assert!(
        said.contains("permission denied") && said.contains("grant"),
        "{said}"
    );
}

#[test]
fn another_database_is_not_taken_for_an_empty_platform() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let said = case.failure(&[("storages__engines__postgresql__database", "postgres")]);
    assert!(
        said.contains("no table") && said.contains("users_index"),
        "{said}"
    );
    case.server.sql(&case.database, "DROP TABLE webhooks");
    assert!(case.failure(&[]).contains("there is no table webhooks"));
}

#[test]
fn encrypted_connections_are_checked_as_asked() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let openssl = |args: &str| {
        let done = Command::new("openssl")
            .args(args.split(' '))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", text(&done));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=ca");
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=db.example");
    fs::write(at("san"), "subjectAltName=DNS:db.example\n").unwrap();
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 30 -extfile san",
    );
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.crt -days 30 -subj /CN=other",
    );
    openssl("req -newkey rsa:2048 -nodes -keyout me.key -out me.csr -subj /CN=proven");
    openssl(
        "x509 -req -in me.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out me.crt -days 30 -extfile san",
    );
    let access = "local all all trust\nhostssl all proven 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 trust\n";
    let setup = Setup {
        access,
        ..Setup::default()
    };
    let Some(case) = Case::new(&setup, &SMALL) else {
        return;
    };
    case.server
        .enable_tls(&at("server.crt"), &at("server.key"), &at("ca.crt"));
    case.server.sql(
        &case.database,
        "CREATE ROLE proven LOGIN; GRANT pg_read_all_data TO proven",
    );
    let mode = |text| ("PGSSLMODE", text);
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    let (ca, other) = (path("ca.crt"), path("other.crt"));
    let proven = ("storages__engines__postgresql__user", "proven");
    let (me, my_key) = (path("me.crt"), path("me.key"));
    for (i, settings) in [
        &[][..],
        &[mode("require")],
        &[mode("verify-ca"), ("PGSSLROOTCERT", &ca)],
        &[
            ("storages__engines__postgresql__sslmode", "verify-ca"),
            ("storages__engines__postgresql__sslrootcert", &ca),
        ],
        &[proven, ("PGSSLCERT", &me), ("PGSSLKEY", &my_key)],
    ]
    .iter()
    .enumerate()
    {
        let made = case.backup(&format!("archive{i}"), settings);
        assert_eq!(made.status.code(), Some(0), "{settings:?}: {}", text(&made));
    }
    for settings in [
        &[mode("disable")][..],
        &[mode("require"), ("PGSSLROOTCERT", &other)],
        &[mode("verify-ca"), ("PGSSLROOTCERT", &other)],
        &[mode("verify-ca")],
        // The certificate is that of db.example.
        &[mode("verify-full"), ("PGSSLROOTCERT", &ca)],
        &[mode("sometimes")],
        &[proven],
        &[proven, ("PGSSLCERT", &me), ("PGSSLKEY", &me)],
        &[mode("verify-full"), ("PGSSLROOTCERT", "/nowhere")],
    ] {
        case.failure(settings);
    }
}

/// As many connections as there are tables are needed at once; more are taken only where there are some.
#[test]
fn connections_of_the_server_are_counted() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    case.enlarge();
    case.server.sql(
        &case.database,
        "CREATE ROLE narrow LOGIN CONNECTION LIMIT 5; GRANT pg_read_all_data TO narrow",
    );
    let narrow = [("storages__engines__postgresql__user", "narrow")];
    let said = case.failure(&narrow);
    assert!(
        said.contains("connections are needed") && said.contains("4 are left"),
        "{said}"
    );
    case.server
        .sql(&case.database, "ALTER ROLE narrow CONNECTION LIMIT 12");
    let made = run(case.command("archive", &narrow).args(["--jobs", "64"]));
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    assert!(!text(&made).contains("53300"), "{}", text(&made));
}
