import { kindOf, messageOf } from '../../../npm/src/errors.js';
import { serve, type Job } from '../rpc.js';
import { chooseEngine, coreVersion, loadCore, privateKeyNeedsPassphrase } from './core.js';
import { folderOutput } from './output/folder.js';
import { ZipWriter } from './output/zip.js';
import { Session, type Choice, type Secrets } from './session.js';
import { save, verify, type SaveOptions } from './work.js';

const session = new Session();

serve({
  async start ({ wasm, engine }: { wasm: ArrayBuffer, engine: 'auto' | 'wasm' }) {
    loadCore(wasm);
    const report = await chooseEngine(engine);
    session.engine = report.engine;
    return { ...report, version: coreVersion() };
  },
  choose: (choice: Choice) => session.choose(choice),
  keyNeedsPassphrase: (key: Uint8Array) => privateKeyNeedsPassphrase(key),
  async unlock (secrets: Secrets) {
    return (await session.unlock(secrets)).info();
  },
  verify: ({ user }: { user?: string }, job: Job) => verify(session.archive, user, job),
  async saveZip (options: SaveOptions, job: Job) {
    const zip = new ZipWriter((bytes) => job.emit({ bytes }, [bytes.buffer]));
    const outcome = await save(session.archive, zip, options, job);
    await zip.finish();
    return outcome;
  },
  saveFolder: (options: SaveOptions, job: Job) => save(session.archive, folderOutput(job), options, job),
}, (error) => ({ kind: kindOf(error), message: messageOf(error) }));
