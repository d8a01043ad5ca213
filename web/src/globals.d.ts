/** Put in by the build. */
declare const PAGE_VERSION: string;

declare module 'worker-script' {
  /** The bundled worker, as text. */
  const source: string;
  export default source;
}
