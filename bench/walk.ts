import {
  ElfObject,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  RELA_WORDS,
  SHT_RELA,
  WORD_FIELDS,
  tableWords,
  u64,
} from '../src/elf';

/**
 * The yardstick: one thread that does nothing but look at everything. It maps both objects, compares them word by
 * word from end to end, then reads every rela of the two and compares it with its counterpart (the rela at the same
 * place in the sequence of all). It pairs nothing and understands nothing, so its answer is of no use; its time is
 * what JavaScript needs to touch the whole input once.
 */
export interface Walk {
  bytes: number;
  differentWords: number;
  relas: number;
  differentRelas: number;
}

export function walk(origPath: string, patchedPath: string): Walk {
  const orig = ElfObject.open(origPath);
  const patched = ElfObject.open(patchedPath);
  return {
    bytes: orig.bytes.length + patched.bytes.length,
    differentWords: differentWords(wholeWords(orig), wholeWords(patched)),
    ...compareRelas(relaTables(orig), relaTables(patched)),
  };
}

function wholeWords({ bytes, little }: ElfObject): Uint32Array {
  return tableWords(bytes, little, 0, bytes.length & ~3, WORD_FIELDS);
}

function differentWords(orig: Uint32Array, patched: Uint32Array): number {
  const common = Math.min(orig.length, patched.length);
  let different = Math.abs(orig.length - patched.length);
  for (let i = 0; i < common; i++) different += orig[i] === patched[i] ? 0 : 1;
  return different;
}

function relaTables(object: ElfObject): Uint32Array[] {
  const tables: Uint32Array[] = [];
  for (let section = 1; section < object.sectionCount; section++) {
    if (object.type(section) === SHT_RELA) tables.push(object.relas(section));
  }
  return tables;
}

function compareRelas(orig: Uint32Array[], patched: Uint32Array[]): Pick<Walk, 'relas' | 'differentRelas'> {
  const total = count(orig);
  const common = Math.min(total, count(patched));
  let differentRelas = Math.abs(total - count(patched));
  let table = 0;
  let at = 0;
  let seen = 0;
  for (const ours of orig) {
    for (let i = 0; i < ours.length && seen < common; i += RELA_WORDS, at += RELA_WORDS, seen++) {
      while (at === patched[table]!.length) {
        table++;
        at = 0;
      }
      const theirs = patched[table]!;
      const same =
        u64(ours, i + R_OFFSET) === u64(theirs, at + R_OFFSET) &&
        ours[i + R_TYPE] === theirs[at + R_TYPE] &&
        ours[i + R_SYM] === theirs[at + R_SYM] &&
        u64(ours, i + R_ADDEND) === u64(theirs, at + R_ADDEND);
      if (!same) differentRelas++;
    }
  }
  return { relas: total + count(patched), differentRelas };
}

function count(tables: Uint32Array[]): number {
  return tables.reduce((sum, table) => sum + table.length / RELA_WORDS, 0);
}
