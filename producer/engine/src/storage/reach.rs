//! How an object store is reached: as the options say, or else the environment.

use std::{env, time::Duration};

use opendal::HttpTransporter;
use opendal_http_transport_reqwest::ReqwestTransport;

use super::{StoreAddress, StoreOptions, bounded::Bounded, store_tls::tls};

/// The region where none is said and none is needed.
const REGION: &str = "us-east-1";
/// How long it may take until a connection is there.
const CONNECTS: Duration = Duration::from_secs(20);

/// How long a request without content may take.
pub(super) const ANSWER: Duration = Duration::from_secs(60);
/// How long the content of one may take; a part has 8 MiB.
pub(super) const CONTENT: Duration = Duration::from_secs(300);

/// Where requests go.
pub(super) struct Reach {
    pub endpoint: String,
    pub region: String,
    /// Whether the bucket stands in the path, or in the host name.
    pub in_path: bool,
}

impl Reach {
    /// For the bucket of an address.
    pub(super) fn of(address: &StoreAddress) -> Result<Self, String> {
        let options = &address.options;
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = options.endpoint.clone();
        let endpoint = endpoint.or_else(|| variable("AWS_ENDPOINT_URL_S3"));
        let endpoint = endpoint.or_else(|| variable("AWS_ENDPOINT_URL"));
        let region = options.region.clone();
        let region = region.or_else(|| variable("AWS_REGION"));
        let region = region.or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = match (region, &endpoint) {
            (Some(region), _) => region,
            (None, Some(_)) => REGION.to_owned(),
            (None, None) => return Err("its region is not known: set AWS_REGION".to_owned()),
        };
        let in_path = options
            .path_style
            .unwrap_or(endpoint.is_some() || address.bucket.contains('.'));
        let endpoint = match endpoint {
            Some(known) if known.contains("://") => known,
            Some(known) => format!("https://{known}"),
            None => format!("https://s3.{region}.amazonaws.com"),
        };
        Ok(Reach {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            region,
            in_path,
        })
    }

    /// The address of the bucket itself.
    pub(super) fn bucket(&self, bucket: &str) -> String {
        match (self.in_path, self.endpoint.split_once("://")) {
            (false, Some((scheme, host))) => format!("{scheme}://{bucket}.{host}"),
            _ => format!("{}/{bucket}", self.endpoint),
        }
    }
}

/// What carries the requests.
pub(super) fn transport(options: &StoreOptions) -> Result<HttpTransporter, String> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(options)?)
        .user_agent(concat!("pryv-backup/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECTS)
        // Credentials and content are for this host alone.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| e.to_string())?;
    Ok(HttpTransporter::new(Bounded(ReqwestTransport::new(client))))
}
