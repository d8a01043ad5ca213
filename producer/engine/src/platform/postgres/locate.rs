//! The addresses of a host. The library looks for them too, but panics where no thread can be had.

use super::answer::PATIENCE;
use crate::interrupt;
use crate::platform::PlatformError;
use crate::threads::refused;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::Builder;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The same parameters with the addresses of the host. Whoever interrupts the run does not wait for them.
pub fn located(
    parameters: &Config,
    error: impl Fn(String) -> PlatformError,
) -> Result<Config, PlatformError> {
    let mut located = parameters.clone();
    let [Host::Tcp(name)] = parameters.get_hosts() else {
        return Ok(located);
    };
    if name.parse::<IpAddr>().is_ok() {
        return Ok(located);
    }
    let (host, (way_back, answer)) = (name.clone(), channel());
    let look = move || way_back.send((host.as_str(), 0).to_socket_addrs().map(Vec::from_iter));
    Builder::new().spawn(look).map_err(|e| error(refused(&e)))?;
    let found = loop {
        match answer.recv_timeout(PATIENCE) {
            Ok(found) => break found,
            Err(RecvTimeoutError::Timeout) => {
                interrupt::check().map_err(|_| PlatformError::Interrupted)?;
            }
            Err(RecvTimeoutError::Disconnected) => break Ok(Vec::new()),
        }
    };
    let found = found.map_err(|e| error(format!("{e}; check the name of the host")))?;
    for (at, address) in found.iter().enumerate() {
        if at > 0 {
            located.host(name);
        }
        located.hostaddr(address.ip());
    }
    Ok(located)
}
