//! An object store for tests: a real server, buckets on it, and a way to it that breaks.

mod bucket;
mod proxy;
mod request;
mod server;

use std::{process::Command, sync::OnceLock};

pub use bucket::{Bucket, Listed};
pub use proxy::{Fault, Gate, StoreProxy};
use request::{ACCESS_KEY, REGION, SECRET_KEY};
use server::Server;

/// A server of SeaweedFS. It ends, and its data goes, with this value or with the process.
pub struct ObjectStore(Server);

impl ObjectStore {
    /// The server that all tests of a process share; `None` (and a line that says so) where SeaweedFS is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<ObjectStore> = OnceLock::new();
        let program = crate::need::need("weed", server::program())?;
        Some(SHARED.get_or_init(|| ObjectStore(Server::start(&program))))
    }

    /// A server of its own, for what must have nobody beside it.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let program = crate::need::need("weed", server::program())?;
        Some(ObjectStore(Server::start(&program)))
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// A new bucket.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn plain(&self) -> Bucket {
        Bucket::new(self.port(), "plain", &[])
    }

    /// A new bucket that keeps versions, and locks none.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn versioned(&self) -> Bucket {
        let bucket = Bucket::new(self.port(), "versioned", &[]);
        let rule = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        bucket.configure("versioning", rule);
        bucket
    }

    /// A new bucket that keeps every version for a day, whoever wants it away.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn locked(&self) -> Bucket {
        let locks = [("x-amz-bucket-object-lock-enabled", "true")];
        let bucket = Bucket::new(self.port(), "locked", &locks);
        let rule = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
            <Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        bucket.configure("object-lock", rule);
        bucket
    }
}

/// Name and secret of the key that the store knows.
#[must_use]
pub fn access_key() -> [&'static str; 2] {
    [ACCESS_KEY, SECRET_KEY]
}

/// Sets what a client needs that reaches the store by way of `port`.
pub fn reach(command: &mut Command, port: u16) -> &mut Command {
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL_S3", format!("http://127.0.0.1:{port}"))
}

/// `rclone`, for which the store at `port` is `bench:`.
#[must_use]
pub fn rclone(port: u16) -> Command {
    let mut rclone = Command::new("rclone");
    rclone
        .args(["--config", "/dev/null"])
        // It takes no certificates in this way.
        .env_remove("AWS_CA_BUNDLE")
        .env("RCLONE_CONFIG_BENCH_TYPE", "s3")
        .env("RCLONE_CONFIG_BENCH_PROVIDER", "Other")
        .env("RCLONE_CONFIG_BENCH_ENV_AUTH", "true")
        .env(
            "RCLONE_CONFIG_BENCH_ENDPOINT",
            format!("http://127.0.0.1:{port}"),
        );
    reach(&mut rclone, port);
    rclone
}
