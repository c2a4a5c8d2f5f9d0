import { KlpflowError } from '../diagnostics';

type Mmap = typeof import('mmap-io').default;

let addon: Mmap | undefined;

/** The mmap addon, loaded when it is first needed: what it was not compiled for, or not at all, is told as one line by whatever needs it. @throws KlpflowError `no-addon` */
export function mmap(): Mmap {
  if (addon !== undefined) return addon;
  try {
    // CommonJS: the functions are the module itself.
    return (addon = require('mmap-io') as Mmap);
  } catch (cause) {
    const [why = ''] = (cause as Error).message.split('\n', 1);
    throw new KlpflowError('no-addon', `the mmap addon does not load in Node.js ${process.version}: ${why}`, {}, cause);
  }
}
