//! Whom we connect to: whatever `psql` takes, over a socket or encrypted, and nothing that it refuses.

use crate::{Case, SMALL};
use pryv_backup_tests::command::{run, text};
use pryv_backup_tests::postgres::Setup;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Who may come how. `hosted` is trusted, and only where the connection is encrypted; `plain`, only where it is not.
const ACCESS: &str = "local all secret,proven scram-sha-256\nlocal all all trust\n\
    hostssl all proven all cert\nhostssl all hosted all trust\nhostnossl all plain all trust\n\
    hostssl all proven,plain all reject\nhostnossl all proven,hosted all reject\nhost all secret all scram-sha-256\nhost all all all trust\n";

const MODES: [&str; 7] = [
    "",
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// Certificates of all kinds, made with openssl as people make them.
struct Certificates(TempDir);

impl Certificates {
    fn new() -> Self {
        let made = Self(TempDir::new().unwrap());
        made.file("san", "subjectAltName=DNS:localhost\n");
        made.file("wrong-san", "subjectAltName=DNS:db.example\n");
        made.file("ip-san", "subjectAltName=IP:127.0.0.1\n");
        made.file(
            "client",
            "subjectAltName=DNS:localhost\nextendedKeyUsage=clientAuth\n",
        );
        made.file("ca", "basicConstraints=critical,CA:TRUE\n");
        made.file("short", "basicConstraints=critical,CA:TRUE,pathlen:0\n");
        made.root("ca", "/CN=ca");
        made.root("other", "/CN=other");
        for name in ["middle", "localhost", "db.example", "127.0.0.1", "proven"] {
            made.openssl(&format!(
                "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
            ));
        }
        // A chain of two; and one that is too long for its root.
        made.sign("middle", "middle", "ca", "-days 30 -extfile ca");
        made.openssl(
            "x509 -req -in middle.csr -signkey middle.key -out short.crt -days 30 -extfile short",
        );
        made
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    fn openssl(&self, args: &str) {
        let done = Command::new("openssl")
            .args(args.split(' '))
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{args}: {}", text(&done));
    }

    /// As in the manual: `openssl req -new -x509`.
    fn root(&self, name: &str, subject: &str) {
        self.openssl(&format!(
            "req -new -x509 -days 30 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.crt -subj {subject}"
        ));
    }

    fn sign(&self, name: &str, request: &str, authority: &str, more: &str) {
        self.openssl(&format!(
            "x509 -req -in {request}.csr -CA {authority}.crt -CAkey {authority}.key -CAcreateserial -out {name}.crt {more}"
        ));
    }

    /// Each with its name, the name of its key, and whom to trust for it.
    fn of_servers(&self) -> Vec<(&str, &str, &str)> {
        let mut all = Vec::new();
        for (name, request, authority, more) in [
            ("usual", "localhost", "ca", "-days 30 -extfile san"),
            // Without extensions it is one of the first version.
            ("old", "localhost", "ca", "-days 30"),
            ("old-wrong", "db.example", "ca", "-days 30"),
            ("old-address", "127.0.0.1", "ca", "-days 30"),
            ("old-expired", "localhost", "ca", "-days -1"),
            ("expired", "localhost", "ca", "-days -1 -extfile san"),
            ("wrong", "localhost", "ca", "-days 30 -extfile wrong-san"),
            ("address", "db.example", "ca", "-days 30 -extfile ip-san"),
            ("client", "localhost", "ca", "-days 30 -extfile client"),
            ("authority", "localhost", "ca", "-days 30 -extfile ca"),
            ("below", "localhost", "middle", "-days 30 -extfile san"),
            ("old-below", "localhost", "middle", "-days 30"),
        ] {
            self.sign(name, request, authority, more);
            all.push((name, request, "ca"));
        }
        for name in ["below", "old-below"] {
            // The server sends what is between it and the root.
            let chain = [name, "middle"]
                .map(|name| fs::read_to_string(self.at(&format!("{name}.crt"))).unwrap());
            self.file(&format!("{name}.crt"), &chain.concat());
            all.push((name, "localhost", "middle"));
        }
        for (name, request, more) in [
            ("self", "localhost", "-days 30 -extfile ca"),
            ("self-wrong", "db.example", "-days 30 -extfile ca"),
            ("self-usual", "localhost", "-days 30 -extfile san"),
            ("self-old", "localhost", "-days 30"),
            ("self-expired", "localhost", "-days -1 -extfile ca"),
        ] {
            self.openssl(&format!(
                "x509 -req -in {request}.csr -signkey {request}.key -out {name}.crt {more}"
            ));
            all.push((name, request, name));
        }
        all
    }
}

/// The demands that both are given.
struct Way<'a> {
    host: &'a str,
    user: &'a str,
    mode: &'a str,
    /// Further variables.
    more: Vec<(&'a str, String)>,
}

impl Case {
    fn ours(&self, way: &Way<'_>) -> Output {
        let mut command = self.command("dry", &[("storages__engines__postgresql__user", way.user)]);
        for (name, value) in self.variables(way) {
            command.env(name, value);
        }
        command.env_remove("storages__engines__postgresql__port");
        run(command.arg("--dry-run"))
    }

    fn libpq(&self, way: &Way<'_>) -> Output {
        self.server
            .client("psql")
            .envs(self.variables(way))
            .env("PGUSER", way.user)
            .args(["--no-password", "--command", "select 1", &self.database])
            .output()
            .unwrap()
    }

    fn variables<'a>(&self, way: &Way<'a>) -> Vec<(&'a str, String)> {
        let mut variables = vec![
            ("HOME", self.folder.path().display().to_string()),
            ("PGHOST", way.host.to_owned()),
            ("PGPORT", self.server.port.to_string()),
        ];
        if !way.mode.is_empty() {
            variables.push(("PGSSLMODE", way.mode.to_owned()));
        }
        variables.extend(way.more.iter().cloned());
        variables
    }

    /// Both take it, or both refuse it; whether they do.
    fn same(&self, what: &str, way: &Way<'_>) -> bool {
        let (ours, libpq) = (self.ours(way), self.libpq(way));
        let said = format!(
            "{what}: {}@{} {:?} {:?}\nours: {}psql: {}",
            way.user,
            way.host,
            way.mode,
            way.more,
            text(&ours),
            text(&libpq)
        );
        let expected = if libpq.status.success() { 0 } else { 1 };
        assert_eq!(ours.status.code(), Some(expected), "{said}");
        assert!(expected == 0 || text(&ours).lines().count() == 1, "{said}");
        expected == 0
    }
}

fn case() -> Option<Case> {
    let setup = Setup {
        access: ACCESS,
        ..Setup::default()
    };
    let case = Case::new(&setup, &SMALL)?;
    case.server.sql(
        &case.database,
        "CREATE ROLE hosted LOGIN; CREATE ROLE plain LOGIN; CREATE ROLE proven LOGIN; CREATE ROLE secret LOGIN PASSWORD 's3cret'; \
         GRANT pg_read_all_data TO hosted, plain, proven, secret",
    );
    Some(case)
}

fn enable(case: &Case, made: &Certificates, name: &str, key: &str) {
    let at = |name: &str, kind: &str| made.at(&format!("{name}.{kind}"));
    case.server
        .enable_tls(&at(name, "crt"), &at(key, "key"), &made.at("ca.crt"));
}

#[test]
fn servers_are_taken_as_libpq_takes_them() {
    let Some(case) = case() else {
        return;
    };
    let made = Certificates::new();
    let mut counts = [0, 0];
    for (name, key, authority) in made.of_servers() {
        enable(&case, &made, name, key);
        let trusted = [authority, "other", "short", "nowhere"];
        let trusted = trusted.map(|name| made.at(&format!("{name}.crt")).display().to_string());
        for mode in ["require", "verify-ca", "verify-full"] {
            for (i, file) in trusted.iter().enumerate() {
                for host in ["localhost", "127.0.0.1"] {
                    if host == "127.0.0.1" && (mode != "verify-full" || i > 0) {
                        continue;
                    }
                    let way = Way {
                        host,
                        user: "hosted",
                        mode,
                        more: vec![("PGSSLROOTCERT", file.clone())],
                    };
                    counts[usize::from(case.same(name, &way))] += 1;
                }
            }
        }
    }
    // Neither of the two takes or refuses everything.
    assert!(counts[0] > 50 && counts[1] > 50, "{counts:?}");
}

#[test]
fn ways_in_are_those_of_libpq() {
    let Some(case) = case() else {
        return;
    };
    let made = Certificates::new();
    let file = |name: &str| made.at(name).display().to_string();
    made.sign("usual", "localhost", "ca", "-days 30 -extfile san");
    // A certificate of the first version, as most people's are; one of somebody else; and one that nobody vouches for.
    made.sign("me", "proven", "ca", "-days 30");
    made.sign("not-me", "localhost", "ca", "-days 30");
    made.openssl("x509 -req -in proven.csr -signkey proven.key -out unknown.crt -days 30");
    made.openssl("x509 -req -in proven.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out expired.crt -days -1");
    made.openssl("pkey -in proven.key -outform DER -out proven.der");
    fs::copy(made.at("proven.key"), made.at("open.key")).unwrap();
    for (name, mode) in [("open.key", 0o644), ("proven.der", 0o600)] {
        fs::set_permissions(made.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let socket = case.server.socket().display().to_string();
    let hosts = [socket.as_str(), "localhost"];
    let password = vec![("PGPASSWORD", "s3cret".to_owned())];
    let certificate =
        |name: &str, key: &str| vec![("PGSSLCERT", file(name)), ("PGSSLKEY", file(key))];
    let mut ways = Vec::new();
    for mode in MODES {
        for host in hosts {
            for user in ["hosted", "plain"] {
                ways.push((host, user, mode, vec![]));
                ways.push((host, user, mode, vec![("PGSSLROOTCERT", file("ca.crt"))]));
            }
            ways.push((host, "secret", mode, vec![]));
            ways.push((host, "secret", mode, password.clone()));
            ways.push((host, "proven", mode, vec![]));
            for (name, key) in [
                ("me.crt", "proven.key"),
                ("me.crt", "proven.der"),
                ("me.crt", "open.key"),
                ("me.crt", "localhost.key"),
                ("me.crt", "nowhere"),
                ("not-me.crt", "localhost.key"),
                ("unknown.crt", "proven.key"),
                ("expired.crt", "proven.key"),
                ("nowhere", "proven.key"),
            ] {
                ways.push((host, "proven", mode, certificate(name, key)));
            }
        }
    }
    for tls in [false, true] {
        if tls {
            enable(&case, &made, "usual", "localhost");
        }
        for (host, user, mode, more) in ways.clone() {
            let way = Way {
                host,
                user,
                mode,
                more,
            };
            case.same(if tls { "with TLS" } else { "without TLS" }, &way);
        }
    }
    home_is_looked_at(&case, &made);
}

/// The files in `~/.postgresql` count where none are named.
fn home_is_looked_at(case: &Case, made: &Certificates) {
    let home = case.folder.path().join(".postgresql");
    fs::create_dir(&home).unwrap();
    let put = |name: &str, as_name: &str| fs::copy(made.at(name), home.join(as_name)).unwrap();
    for authority in ["ca.crt", "other.crt"] {
        put(authority, "root.crt");
        for (certificate, key) in [("me.crt", "proven.key"), ("not-me.crt", "localhost.key")] {
            put(certificate, "postgresql.crt");
            put(key, "postgresql.key");
            for mode in ["prefer", "require", "verify-full"] {
                for user in ["hosted", "plain", "proven"] {
                    let way = Way {
                        host: "localhost",
                        user,
                        mode,
                        more: vec![],
                    };
                    case.same(&format!("{authority} and {certificate} at home"), &way);
                }
            }
        }
    }
}

/// Through a socket, all the way: a backup, by each of the ways to name it.
#[test]
fn a_backup_goes_through_a_socket() {
    let Some(case) = case() else {
        return;
    };
    let socket = case.server.socket().display().to_string();
    let (port, database) = (case.server.port, &case.database);
    let escaped = socket.replace('/', "%2F");
    let url = |text: String| ("storages__engines__postgresql__url", text);
    let ways = [
        vec![("storages__engines__postgresql__host", socket.clone())],
        vec![("PGHOST", socket.clone())],
        vec![
            ("PGHOST", socket.clone()),
            ("PGSSLMODE", "verify-full".to_owned()),
        ],
        vec![url(format!(
            "postgres://postgres@{escaped}:{port}/{database}"
        ))],
        vec![url(format!(
            "postgres:///{database}?host={escaped}&port={port}&sslmode=require"
        ))],
    ];
    for (i, settings) in ways.iter().enumerate() {
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let made = case.backup(&format!("archive{i}"), &settings);
        assert_eq!(made.status.code(), Some(0), "{settings:?}: {}", text(&made));
    }
    let said = case.failure(&[("PGHOST", "/nowhere")]);
    assert!(
        said.contains("/nowhere") && said.contains("No such file"),
        "{said}"
    );
    passwords_for_a_socket(&case, &socket);
}

/// The file of passwords names the folder as it is written.
fn passwords_for_a_socket(case: &Case, socket: &str) {
    let passwords = case.folder.path().join("passwords");
    let write = |text: &str, mode: u32| {
        fs::write(&passwords, text).unwrap();
        fs::set_permissions(&passwords, fs::Permissions::from_mode(mode)).unwrap();
    };
    let way = Way {
        host: socket,
        user: "secret",
        mode: "",
        more: vec![("PGPASSFILE", passwords.display().to_string())],
    };
    for (line, mode, right) in [
        (format!("{socket}:*:*:secret:s3cret\n"), 0o600, true),
        ("localhost:*:*:secret:s3cret\n".to_owned(), 0o600, false),
        (format!("{socket}:*:*:secret:s3cret\n"), 0o640, false),
        (format!("{socket}:*:*:other:s3cret\n"), 0o600, false),
    ] {
        write(&line, mode);
        assert_eq!(case.same(&line, &way), right, "{line}");
    }
    for (line, mode, advice) in [("x", 0o644, "chmod 600"), ("x", 0o600, "has no line for")] {
        write(line, mode);
        let said = text(&case.ours(&way));
        assert!(
            said.contains(advice) && said.contains(Path::new("passwords").to_str().unwrap()),
            "{said}"
        );
    }
}
