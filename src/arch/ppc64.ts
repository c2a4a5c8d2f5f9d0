import { EM_PPC64 } from '../elf';
import type { Arch } from './arch';
import { Filling } from './filling';
import { PLAIN, plainDisassembler, wordAt } from './plain';
import { relocationNames } from './relocation-names';

const NOP = 0x60000000;
/** `b`, with nothing in it yet. */
const SIBLING_CALL = 0x48000000;
const ADDR64 = 38;
const BRANCHES = new Set([10, 11, 116]); // REL24, REL14, REL24_NOTOC
/** REL64, ENTRY, REL16_LO, REL16_HA: how a function finds its TOC. */
const TOC_DISTANCES = new Set([44, 118, 250, 252]);
/** Ties a load of a GOT entry to the access that uses it, for a linker to join (POWER10); its symbol is none, its addend a distance. */
const PCREL_OPT = 123;
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
  isHint: (type) => type === PCREL_OPT,
  relocationName: relocationNames('R_PPC64_'),
  address64: ADDR64,
  filling: new Filling([
    [0x00, 0x00, 0x00, 0x60],
    [0x60, 0x00, 0x00, 0x00],
  ]),
  isBranch: (_bytes, _start, _field, type) => BRANCHES.has(type),
  isSiblingCall: (bytes, field) => field % 4 === 0 && wordAt(bytes, field) === SIBLING_CALL,
  // `li r4, line`: r3 to r10 are arguments.
  disassembler: () =>
    plainDisassembler(
      () => 4,
      (bytes) => {
        const register = (bytes[2]! >>> 5) | ((bytes[3]! & 3) << 3);
        return (bytes[3]! & 0xfc) === 0x38 && (bytes[2]! & 0x1f) === 0 && register >= 3 && register <= 10
          ? { argument: register - 2, value: bytes[0]! | (bytes[1]! << 8) }
          : undefined;
      },
    ),
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
