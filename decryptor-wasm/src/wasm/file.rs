//! One stored file: bytes in WASM memory in, bytes in WASM memory out.

use js_sys::{Function, Uint8Array};
use wasm_bindgen::{JsCast, prelude::*};

use super::keys::DataKey;
use crate::{
    Code, FileKey,
    aead::{Aead, RustAead},
    reader::{self, ReadOptions},
};

/// Either implementation of the cipher.
enum Engine {
    Rust(Box<RustAead>),
    Host(Function),
}

impl Engine {
    fn new(key: &FileKey, host: Option<&Function>) -> crate::Result<Engine> {
        let Some(host) = host else {
            return Ok(Engine::Rust(Box::new(RustAead::new(key))));
        };
        host.call1(&JsValue::NULL, &Uint8Array::from(key.as_bytes().as_slice()))
            .ok()
            .and_then(|open| open.dyn_into().ok())
            .map(Engine::Host)
            .ok_or_else(|| Code::HostCipher.into())
    }
}

impl Aead for Engine {
    fn open_in_place(&mut self, index: u64, frame: &mut [u8]) -> bool {
        match self {
            Engine::Rust(aead) => aead.open_in_place(index, frame),
            // The host opens the frame where it lies in WASM memory; a throw counts as a refusal.
            Engine::Host(open) => open
                .call3(
                    &JsValue::NULL,
                    &(index as f64).into(),
                    &(frame.as_mut_ptr() as u32).into(),
                    &(frame.len() as u32).into(),
                )
                .is_ok_and(|opened| opened.is_truthy()),
        }
    }
}

/// Opens one file; see `FileReader` of the core. The caller makes fresh views of the memory, which may grow at any call.
#[wasm_bindgen]
pub struct FileReader {
    reader: reader::FileReader<Engine>,
    output: *const u8,
}

#[wasm_bindgen]
impl FileReader {
    /// A reader of a sealed file. `open`, the host's cipher, makes from a file key a function that opens frame `index` in place at
    /// `pointer`, `length`; without it the core's own cipher is used. `buffer`: bytes of the input buffer.
    pub fn sealed(
        key: &DataKey,
        gunzip: bool,
        lines: bool,
        open: Option<Function>,
        buffer: Option<u32>,
    ) -> FileReader {
        let reader = reader::FileReader::sealed(
            key.0.clone(),
            options(gunzip, lines, buffer),
            move |file_key| Engine::new(file_key, open.as_ref()),
        );
        FileReader {
            reader,
            output: std::ptr::null(),
        }
    }

    /// A reader of a file that is not sealed.
    pub fn cleartext(gunzip: bool, lines: bool, buffer: Option<u32>) -> FileReader {
        FileReader {
            reader: reader::FileReader::cleartext(options(gunzip, lines, buffer)),
            output: std::ptr::null(),
        }
    }

    /// Where the next stored bytes go.
    #[wasm_bindgen(getter, js_name = inputPtr)]
    pub fn input_ptr(&mut self) -> u32 {
        self.reader.input().as_mut_ptr() as u32
    }

    /// How many bytes fit there.
    #[wasm_bindgen(getter, js_name = inputCapacity)]
    pub fn input_capacity(&mut self) -> u32 {
        self.reader.input().len() as u32
    }

    /// `n` stored bytes were put at `inputPtr`.
    pub fn process(&mut self, n: u32) -> Result<(), JsValue> {
        Ok(self.reader.process(n as usize)?)
    }

    /// The next frame, of `length` bytes, was opened ahead by the host, or refused; see `FileReader::frame_opened` of the core.
    pub fn frame(&mut self, length: u32, authentic: bool) -> Result<u32, JsValue> {
        Ok(self.reader.frame_opened(length as usize, authentic)? as u32)
    }

    /// `n` bytes of opened frames were put at `inputPtr`.
    #[wasm_bindgen(js_name = processOpened)]
    pub fn process_opened(&mut self, n: u32) {
        self.reader.process_opened(n as usize);
    }

    /// Makes the next output bytes available at `outputPtr` and returns how many; 0: more input is needed.
    #[wasm_bindgen(js_name = takeOutput)]
    pub fn take_output(&mut self) -> Result<u32, JsValue> {
        let bytes = self.reader.output()?;
        self.output = bytes.as_ptr();
        Ok(bytes.len() as u32)
    }

    /// Where the bytes of the last `takeOutput` are.
    #[wasm_bindgen(getter, js_name = outputPtr)]
    pub fn output_ptr(&self) -> u32 {
        self.output as u32
    }

    /// The end of the file: a summary as JSON.
    pub fn finish(&mut self) -> Result<String, JsValue> {
        let summary = self.reader.finish()?;
        super::archive::to_json(&summary)
    }
}

fn options(gunzip: bool, lines: bool, buffer: Option<u32>) -> ReadOptions {
    ReadOptions {
        gunzip,
        lines,
        buffer: buffer.unwrap_or(0) as usize,
    }
}
