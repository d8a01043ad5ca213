//! One stored file: bytes in WASM memory in, bytes in WASM memory out.

use std::rc::Rc;

use js_sys::{Function, Uint8Array};
use wasm_bindgen::{JsCast, prelude::*};

use super::keys::DataKey;
use crate::{
    Code, FileKey, Result,
    aead::{Aead, AnyAead, Cipher, core_cipher},
    reader::{self, FileSummary, ReadOptions},
};

/// The ciphers of the host, or without them the core's own.
pub(super) fn cipher(open: Option<Function>) -> Cipher {
    match open {
        Some(open) => Rc::new(move |key| HostAead::new(key, &open)),
        None => core_cipher(),
    }
}

/// The cipher of the host: makes from a file key a function that opens frames.
struct HostAead(Function);

impl HostAead {
    fn new(key: &FileKey, host: &Function) -> Result<AnyAead> {
        let key = Uint8Array::from(key.as_bytes().as_slice());
        let open = host.call1(&JsValue::NULL, &key).ok();
        let open: Option<Function> = open.and_then(|open| open.dyn_into().ok());
        match open {
            Some(open) => Ok(Box::new(HostAead(open))),
            None => Err(Code::HostCipher.into()),
        }
    }
}

impl Aead for HostAead {
    /// The host opens the frame where it lies in WASM memory; if it throws, it refuses.
    fn open_in_place(&mut self, index: u64, frame: &mut [u8]) -> bool {
        let (at, length) = (frame.as_mut_ptr() as u32, frame.len() as u32);
        self.0
            .call3(
                &JsValue::NULL,
                &(index as f64).into(),
                &at.into(),
                &length.into(),
            )
            .is_ok_and(|opened| opened.is_truthy())
    }
}

/// Opens one file; see `FileReader` of the core. The caller makes fresh views of the memory, which may grow at any call.
#[wasm_bindgen]
pub struct FileReader {
    reader: reader::FileReader<AnyAead>,
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
        FileReader::of(Some(key), options(gunzip, lines, buffer), open)
    }

    /// A reader of a file that is not sealed.
    pub fn cleartext(gunzip: bool, lines: bool, buffer: Option<u32>) -> FileReader {
        FileReader::of(None, options(gunzip, lines, buffer), None)
    }

    fn of(key: Option<&DataKey>, options: ReadOptions, open: Option<Function>) -> FileReader {
        let key = key.map(|key| &key.0);
        FileReader {
            reader: reader::FileReader::with(key, options, &cipher(open)),
            output: std::ptr::null(),
        }
    }

    /// Where the next stored bytes go.
    #[wasm_bindgen(getter, js_name = inputPtr)]
    pub fn input_ptr(&mut self) -> u32 {
        self.reader.input().as_mut_ptr() as u32
    }

    /// The number of bytes that fit there.
    #[wasm_bindgen(getter, js_name = inputCapacity)]
    pub fn input_capacity(&mut self) -> u32 {
        self.reader.input().len() as u32
    }

    /// `n` stored bytes were put at `inputPtr`.
    pub fn process(&mut self, n: u32) -> Result<()> {
        self.reader.process(n as usize)
    }

    /// The next frame, of `length` bytes, was opened ahead by the host, or refused; see `FileReader::frame_opened` of the core.
    pub fn frame(&mut self, length: u32, authentic: bool) -> Result<u32> {
        Ok(self.reader.frame_opened(length as usize, authentic)? as u32)
    }

    /// `n` bytes of opened frames were put at `inputPtr`.
    #[wasm_bindgen(js_name = processOpened)]
    pub fn process_opened(&mut self, n: u32) {
        self.reader.process_opened(n as usize);
    }

    /// Makes the next output bytes available at `outputPtr` and returns how many; 0: more input is needed.
    #[wasm_bindgen(js_name = takeOutput)]
    pub fn take_output(&mut self) -> Result<u32> {
        let bytes = self.reader.output()?;
        self.output = bytes.as_ptr();
        Ok(bytes.len() as u32)
    }

    /// Where the bytes of the last `takeOutput` are.
    #[wasm_bindgen(getter, js_name = outputPtr)]
    pub fn output_ptr(&self) -> u32 {
        self.output as u32
    }

    /// The end of the file.
    pub fn finish(&mut self) -> Result<Summary> {
        Ok(Summary(self.reader.finish()?))
    }
}

/// The result of reading a file to its end.
#[wasm_bindgen]
pub struct Summary(pub(super) FileSummary);

getters! { Summary(summary):
    /// Bytes as stored.
    storedSize: f64 = summary.0.stored_size as f64;
    /// Bytes after opening, before inflating.
    contentSize: f64 = summary.0.content_size as f64;
    /// Bytes put out.
    outputSize: f64 = summary.0.output_size as f64;
    /// JSON lines, when they were counted.
    records: Option<f64> = summary.0.records.map(|records| records as f64);
}

fn options(gunzip: bool, lines: bool, buffer: Option<u32>) -> ReadOptions {
    let buffer = buffer.unwrap_or(0) as usize;
    ReadOptions {
        gunzip,
        lines,
        buffer,
    }
}

/// A manifest for a tree whose record files were inflated.
#[wasm_bindgen(js_name = plainManifest)]
pub fn plain_manifest(json: &[u8]) -> Result<Vec<u8>> {
    crate::plain_manifest(json)
}
