import { PRODUCTION } from '../support/corpus';
import { VARIANTS, testLivepatchesIn, type Variant } from './suite';

const [PLAIN, OFF, STUFFED] = VARIANTS as readonly [Variant, Variant, Variant];
const REGISTER = ['register'];

/** The kernel rewrites a module's preambles and calls in one of these ways when it loads it; what its tables leave out traps at the first indirect call. */
testLivepatchesIn(PRODUCTION, [
  // QEMU has no CET, so that "auto" is kCFI, with hashes that are drawn anew at boot.
  { ...PLAIN, preambles: 'rehashed', reload: true, logs: /CFI: Using rehashed retpoline kCFI/ },
  {
    ...PLAIN,
    name: 'cfi=kcfi,norand',
    append: 'cfi=kcfi,norand',
    preambles: 'unchanged',
    logs: /CFI: Using retpoline kCFI/,
  },
  { ...PLAIN, name: 'cfi=fineibt', append: 'cfi=fineibt', preambles: 'FineIBT', logs: /: Using FineIBT CFI/ },
  {
    ...PLAIN,
    name: 'cfi=fineibt,paranoid,bhi',
    append: 'cfi=fineibt,paranoid,bhi',
    indirect: REGISTER,
    preambles: 'FineIBT',
    logs: /Using paranoid FineIBT\+BHI CFI/,
  },
  { ...OFF, preambles: 'rehashed', logs: /CFI: Using rehashed retpoline kCFI/ },
  // Every call counts how deep it is, behind a check of its type.
  { ...STUFFED, preambles: 'rehashed', logs: /CFI: Using rehashed retpoline kCFI/ },
  // Calls are not checked, and preambles stay.
  { ...PLAIN, name: 'cfi=off', append: 'cfi=off', preambles: 'unchanged', logs: /CFI: disabled/ },
]);
