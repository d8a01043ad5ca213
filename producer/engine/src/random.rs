//! The system's random bytes.

use decryptor_wasm::RandomSource;

/// The system's random bytes.
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), decryptor_wasm::Error> {
        getrandom::fill(out).map_err(|e| {
            decryptor_wasm::Error::new(
                decryptor_wasm::ErrorKind::Failed,
                format!("the system gave no random bytes: {e}"),
            )
        })
    }
}
