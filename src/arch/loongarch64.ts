import { EM_LOONGARCH } from '../elf';
import type { Arch } from './arch';
import { Filling } from './filling';
import { PLAIN, plainDisassembler, wordAt } from './plain';
import { relocationNames } from './relocation-names';

/** `andi $zero, $zero, 0`. */
const NOP = 0x03400000;
const ADDR64 = 2;
/** The instruction before may be made shorter. */
const RELAX = 100;
const BRANCHES = new Set([64, 65, 66]); // B16, B21, B26

export const loongarch64: Arch = {
  ...PLAIN,
  machine: EM_LOONGARCH,
  name: 'loongarch64',
  isHint: (type) => type === RELAX,
  relocationName: relocationNames('R_LARCH_'),
  address64: ADDR64,
  filling: new Filling([[0x00, 0x00, 0x40, 0x03]]),
  isBranch: (_bytes, _start, _field, type) => BRANCHES.has(type),
  disassembler: () =>
    plainDisassembler(
      () => 4,
      () => undefined,
    ),
  ftraceSite: ({ content, start, patchable }) =>
    patchable === true && wordAt(content, start) === NOP && wordAt(content, start + 4) === NOP ? start : undefined,
};
