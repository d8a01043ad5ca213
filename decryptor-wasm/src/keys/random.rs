//! The caller's randomness in the shape that RustCrypto takes.

use rsa::rand_core::{TryCryptoRng, TryRng};

use super::RandomSource;
use crate::Error;

pub(super) struct Rng<'a>(pub &'a mut dyn RandomSource);

impl TryRng for Rng<'_> {
    type Error = Error;

    fn try_next_u32(&mut self) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.0.fill(out)
    }
}

impl TryCryptoRng for Rng<'_> {}
