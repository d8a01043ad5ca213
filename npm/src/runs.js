// Opening the runs of a chain, wherever the core runs: what reads files is lent by the host.
import { ChainState, folderOf } from './chain.js';
import { kindOf } from './errors.js';
import { SIGNATURE } from './trust.js';

/** @typedef {import('./types.js').PlannedFile} PlannedFile */
/** @typedef {import('./types.js').StateFile} StateFile */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').DataKey} DataKey */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Signed} Signed */
/** @typedef {import('../../.build/wasm/decryptor_wasm.js').Demands} Demands */
/**
 * @template Source
 * @typedef {import('./chain.js').Host<Source>} Host
 */
/**
 * @template Source
 * @typedef {import('./chain.js').Access<Source>} Access
 */

/**
 * A run whose manifests are read, and what is signed of it; the host may keep more of it.
 * @typedef {{ key: DataKey|undefined, keyCheck: boolean|undefined, opened: boolean, manifest: Uint8Array, signed: Signed,
 *   texts: Record<string, string|null>, findings: Array<{ path: string, message: string }> }} Run
 */

export const CHAIN = 'chain.json';
const RUN_FOLDER = /^increments\/(\d{4,})\/manifest\.json$/;

/**
 * Opens the runs that a state needs. An error that only the reader can clear up, by choosing a run, has the code `two-signers` or `fork`.
 * @template Source
 * @template {Run} R
 * @param {Host<Source>} host
 * @param {Source} source
 * @param {Array<[string, number]>} listing
 * @param {{ at?: number, openRun: (source: Source, listing: Array<[string, number]>, run: number) => Promise<R>, user?: string,
 *   engine: any, demands: Demands }} how
 */
export async function openChain (host, source, listing, { at, openRun, user, engine, demands }) {
  const { content: index } = await host.readStored(source, CHAIN);
  const core = host.core.Chain.parse(index, await storedRuns());
  /** @type {Map<number, Access<Source>>} */
  const runs = new Map();
  try {
    const chosen = core.choose(at);
    let newest;
    /** @type {any} */
    let signer;
    for (let run = chosen, full = false; !full;) {
      judge(run, chosen);
      const opened = await openOne(run, chosen);
      newest ??= opened;
      runs.set(run, { source: within(run), key: opened.key, engine, opened: opened.opened });
      try {
        signer ??= JSON.parse(signerOf(opened.signed));
        full = core.opened(run, opened.manifest, opened.signed, demands);
        judge(run, chosen);
        core.plan(run, opened.manifest, JSON.stringify(opened.texts), JSON.stringify(listed(run)), opened.keyCheck, opened.signed,
          JSON.stringify(Object.fromEntries(opened.findings.map(({ path, message }) => [path, message]))));
      } finally {
        opened.signed.free();
      }
      if (!full) run = before(run);
    }
    core.root(JSON.stringify(await companions()), JSON.stringify(listing));
    const state = JSON.parse(core.state(user));
    state.findings.push(signer);
    return { newest: /** @type {R} */ (newest), state, chain: new ChainState(host, core, chosen, runs, state.files) };
  } catch (error) {
    for (const { key } of runs.values()) key?.free();
    core.free();
    throw error;
  }

  /** What lies in the folders of the runs that are there. */
  async function storedRuns () {
    const paths = new Set(listing.map(([path]) => path));
    const stored = new host.core.StoredRuns();
    try {
      for (const run of runsThere(listing)) {
        const { content } = await host.readStored(within(run), 'manifest.json');
        const signed = paths.has(folderOf(run) + SIGNATURE);
        const minisig = signed ? await host.readSmall(within(run), SIGNATURE) : undefined;
        stored.add(run, content, minisig, paths.has(`${folderOf(run)}.unnamed`));
      }
      return stored;
    } catch (error) {
      stored.free();
      throw error;
    }
  }

  /** @param {number} run */
  function within (run) {
    return run === 1 ? source : host.below(source, folderOf(run));
  }

  /** @param {number} run @returns {Array<[string, number]>} */
  function listed (run) {
    const folder = folderOf(run);
    if (run === 1) return firstRun(listing);
    return listing.filter(([path]) => path.startsWith(folder)).map(([path, size]) => [path.slice(folder.length), size]);
  }

  /** @param {number} run */
  function before (run) {
    const found = core.before(run);
    if (found > 0) return found;
    throw host.core.errorOf('run-missing', { run });
  }

  /**
   * Throws when something is wrong with a run that the state needs.
   * @param {number} run
   * @param {number} chosen
   */
  function judge (run, chosen) {
    core.require(run, chosen);
  }

  /** What is to be said of who signed the run that is asked for. @param {Signed} signed */
  function signerOf (signed) {
    try {
      return demands.signed(signed);
    } catch (error) {
      throw core.unexpected(error, demands);
    }
  }

  /** The SHA-256 of each decryptor and document at the root. */
  async function companions () {
    /** @type {Record<string, string|undefined>} */
    const found = {};
    for (const [path] of listing) {
      if (host.core.isCompanion(path)) found[path] = (await host.readStored(source, path)).sha256;
    }
    return found;
  }

  /**
   * @param {number} run
   * @param {number} chosen
   */
  async function openOne (run, chosen) {
    try {
      return await openRun(within(run), listed(run), run === chosen ? chosen : 0);
    } catch (error) {
      if (/** @type {any} */ (error).unexpected === true) throw error;
      if (kindOf(error) === 'damaged') throw core.damaged(error, run, chosen);
      if (kindOf(error) === 'key') throw core.closed(error, run);
      throw error;
    }
  }
}

/**
 * The runs that have a manifest, in order.
 * @param {Array<[string, number]>} listing
 */
function runsThere (listing) {
  const runs = listing.map(([path]) => (path === 'manifest.json' ? 1 : Number(RUN_FOLDER.exec(path)?.[1] ?? 0)));
  return runs.filter((run, at) => run > 0 && folderOf(run) + 'manifest.json' === listing[at][0]).sort((a, b) => a - b);
}

/**
 * The files of the state as readers of archives know them.
 * @param {StateFile[]} files
 * @returns {PlannedFile[]}
 */
export function plannedFiles (files) {
  return files.map(({ path, user, collection, parts }) => ({
    path,
    user,
    jsonl: collection !== null,
    gzip: false,
    encrypted: parts.some(({ file }) => file.encrypted),
    size: parts.reduce((sum, { file }) => sum + file.size, 0),
    expected: collection === null ? parts[parts.length - 1].file.expected : null,
  }));
}

/**
 * What of a chain's folder is of its first run.
 * @param {Array<[string, number]>} listing
 */
export function firstRun (listing) {
  return listing.filter(([path]) => path !== CHAIN && !path.startsWith('increments/'));
}
