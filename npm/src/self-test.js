// A sealed file (docs/format.md, "Encrypted file") and the envelope whose passphrase is `self-test`.
export const TEST_ENVELOPE = '{"v":1,"alg":"AES-256-GCM-CHUNKED","chunk":65536,"mode":"symmetric","kdf":"scrypt",' +
  '"salt":"AwMDAwMDAwMDAwMDAwMDAw==","N":1024,"r":8,"p":1}';
export const TEST_FILE = 'UFJZVkJLRTEAAAA3eyJ2IjoxLCJzYWx0IjoiQWdJQ0FnSUNBZ0lDQWdJQ0FnSUNBZz09IiwiY2h1bmsiOjY1NTM2fQAAACWL' +
  'KjCgceqUHZIsWnSTdRiR8CplTRvJkwNJgSZqrBMoB6ct7UUH';
export const TEST_TEXT = 'pryv-backup self test';
