import { EM_PPC64 } from '../elf';
import type { Arch } from './arch';
import { PLAIN, plainDisassembler, wordAt } from './plain';

const NOP = 0x60000000;
const ADDR64 = 38;
const BRANCHES = new Set([10, 11, 116]); // REL24, REL14, REL24_NOTOC
/** REL64, ENTRY, REL16_LO, REL16_HA: how a function finds its TOC. */
const TOC_DISTANCES = new Set([44, 118, 250, 252]);
/** -mcmodel=large puts the TOC's distance into the 8 bytes before a function. */
const TOC_WORD = 8;

/** ELFv2 ABI: the three top bits of st_other hold log2 of the distance to the local entry. */
function localEntry(other: number): number {
  return ((1 << (other >>> 5)) >>> 2) << 2;
}

export const ppc64: Arch = {
  ...PLAIN,
  machine: EM_PPC64,
  name: 'ppc64',
  address64: ADDR64,
  isBranch: (_bytes, _start, _field, type) => BRANCHES.has(type),
  // `li r4, line` and `li r5, line`.
  disassembler: () => plainDisassembler(() => 4, (a, b) => (a[3] !== 0x38 || b[3] !== 0x38 || a[2] !== b[2] ? 0 : a[2] === 0x80 ? 2 : a[2] === 0xa0 ? 3 : 0)),
  leadIn: (_content, start) => (start === TOC_WORD ? TOC_WORD : 0),
  localEntry,
  isFunctionPointer: (type, inToc) => inToc && type === ADDR64,
  isLoadersOwn: (type) => TOC_DISTANCES.has(type),

  // A NOP at the local entry (-fpatchable-function-entry), or the call of -pg.
  ftraceSite({ content, start, other, patchable, relas }) {
    if (patchable === null) return relas.find(({ name }) => name === '_mcount')?.offset;
    const site = start + localEntry(other);
    return patchable && wordAt(content, site) === NOP ? site : undefined;
  },
};
