//! Answers of a store that end: no more of one is read than was asked for.

use futures_util::TryStreamExt;
use http::{Request, Response, header::RANGE};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use opendal_http_transport_reqwest::ReqwestTransport;

/// Bytes of the answer to a request that names no range, such as a listing of 1,000 objects with long names.
const MOST: u64 = 32 * 1024 * 1024;
/// Bytes of the answer to a request that is refused.
const MOST_OF_ERROR: u64 = 64 * 1024;

/// Carries requests, and cuts answers that are too long.
pub(super) struct Bounded(pub(super) ReqwestTransport);

impl HttpTransport for Bounded {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let asked = request.headers().get(RANGE);
        let asked = asked.and_then(|range| length(range.to_str().ok()?));
        let response = self.0.fetch(request).await?;
        let most = match response.status().is_success() {
            true => asked.unwrap_or(MOST),
            false => MOST_OF_ERROR,
        };
        Ok(response.map(|body| {
            body.map_inner(|stream| {
                let mut read = 0_u64;
                Box::new(stream.and_then(move |piece| {
                    read = read.saturating_add(piece.len() as u64);
                    let piece = match read > most {
                        true => Err(too_long()),
                        false => Ok(piece),
                    };
                    std::future::ready(piece)
                }))
            })
        }))
    }
}

fn too_long() -> Error {
    let what = "the store sent more than was asked for";
    Error::new(ErrorKind::Unexpected, what)
}

/// The bytes of `bytes=8-15`.
fn length(range: &str) -> Option<u64> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_range_is_known() {
        assert_eq!(length("bytes=8-15"), Some(8));
        for open in ["bytes=8-", "bytes=-8", "bytes=9-8", "8-15"] {
            assert_eq!(length(open), None, "{open}");
        }
    }
}
