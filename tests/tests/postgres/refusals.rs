//! Refusals of the server, and demands of a connection that it does not meet: one line that names the cause.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::postgres::Setup;
use std::fs;
use std::os::unix::fs::PermissionsExt;

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

    // Remembering the state for the next run needs more than a backup by itself does.
    let state = case.folder.path().join("state");
    let kept = ("PRYV_BACKUP_STATE_DIR", state.to_str().unwrap());
    case.server.sql(
        &case.database,
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
    );
    let made = case.backup("narrow", &[user, password("s3cret-right"), kept]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let said = text(&made);
    assert!(
        said.contains("pg_control_system") && said.contains("will be a full one"),
        "{said}"
    );

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

/// However an address is malformed, no part of the password in it is shown.
#[test]
fn passwords_in_addresses_are_shown_nowhere() {
    let Some(case) = Case::new(&Setup::default(), &SMALL) else {
        return;
    };
    let rqlite = ("storages__platform__engine", "rqlite");
    for address in [
        "u:s3cret@h",
        "//u:s3cret@h:4001",
        "http:/u:s3cret@h:4001",
        "http://u:s3cret",
        "http://u:s3cret@",
        "http://u:s3cret:4001",
        "http://u:s3cret%40h:4001",
        "http://u:s3cret@h:port",
        "http://u:s3cret@127.0.0.1:1",
        "http://u:a/s3cret@127.0.0.1:1",
        "http://u:a?s3cret@127.0.0.1:1",
        "http://u:a#s3cret",
        "http://127.0.0.1:1?password=s3cret",
        "postgres://u:s3cret@127.0.0.1:1",
        "http://u:s3cret@h@127.0.0.1:1",
        "http://[u:s3cret@h",
        "http://u:s3cret@h h",
    ] {
        for key in [
            "storages__engines__rqlite__url",
            "storages__engines__postgresql__url",
            "storages__engines__postgresql__host",
            "storages__engines__postgresql__database",
            "storages__engines__postgresql__user",
        ] {
            // A connection in the clear over a network is warned of, beside the error.
            let failed = case.backup("failed", &[rqlite, (key, address)]);
            let said = text(&failed);
            assert_eq!(failed.status.code(), Some(1), "{key} {address}: {said}");
            assert!(!said.contains("s3cret"), "{key} {address}: {said}");
        }
    }
}

#[test]
fn a_password_that_crosses_a_network_is_warned_of() {
    let access = "local all all trust\nhost all all all scram-sha-256\n";
    let setup = Setup {
        access,
        ..Setup::default()
    };
    let Some(case) = Case::new(&setup, &SMALL) else {
        return;
    };
    case.server
        .sql(&case.database, "ALTER ROLE postgres PASSWORD 's3cret'");
    // This machine, by a name that does not say so.
    for (host, warned) in [("0.0.0.0", true), ("127.0.0.1", false)] {
        let settings = [
            ("storages__engines__postgresql__host", host),
            ("storages__engines__postgresql__password", "s3cret"),
        ];
        let made = case.backup(&format!("from-{host}"), &settings);
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert_eq!(made.status.code(), Some(0), "{said}");
        assert_eq!(
            said.contains("warning: the password for PostgreSQL at 0.0.0.0"),
            warned,
            "{said}"
        );
    }
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
