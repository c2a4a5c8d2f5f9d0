/** The tables of an object of 92 MB. It is damaged in place and repaired after each mutant: a copy of it takes longer than most of them. */
import { readFileSync } from 'node:fs';
import { Random } from '../../../src/synth/random';
import { correlate } from '../../../src/stages/correlate';
import { platformFacts } from '../../../src/livepatch/facts';
import { digestShard, digestSpecials, readTable, type ScanTable } from '../../../src/stages/scan';
import { ElfObject } from '../../../src/elf';
import { MappedFile } from '../../../src/files/mapped-file';
import { ELF_CODES, type Subject } from './outcome';

const [SHT_SYMTAB, SHT_STRTAB, SHT_RELA] = [2, 3, 4];

/** Record sizes, and offset and width of the fields, of little-endian tables. */
const HEADER = [
  [24, 4],
  [28, 4],
  [32, 8],
  [40, 8],
  [48, 8],
  [56, 8],
  [8, 8],
  [0, 4],
  [4, 4],
] as const;
const SYMBOL = [
  [0, 4],
  [4, 1],
  [6, 2],
  [8, 8],
  [16, 8],
] as const;
const RELA = [
  [0, 8],
  [8, 4],
  [12, 4],
  [16, 8],
] as const;

interface Scan {
  table: ScanTable;
  uses: Uint32Array;
}

export function largeSubject(path: string): Subject {
  const bytes = new Uint8Array(readFileSync(path));
  const view = Buffer.from(bytes.buffer);
  const table = Number(view.readBigUInt64LE(40));
  const count = view.readUInt16LE(60) || Number(view.readBigUInt64LE(table + 32));
  const sections = Array.from({ length: count }, (_, i) => ({
    type: view.readUInt32LE(table + i * 64 + 4),
    offset: Number(view.readBigUInt64LE(table + i * 64 + 24)),
    size: Number(view.readBigUInt64LE(table + i * 64 + 32)),
  }));
  const ofType = (type: number): typeof sections =>
    sections.filter((section) => section.type === type && section.size >= 24);
  const [symtabs, strings, relas] = [ofType(SHT_SYMTAB), ofType(SHT_STRTAB), ofType(SHT_RELA)];
  const pristine = scan(bytes, path);

  return {
    codes: new Set(ELF_CODES),
    mutant(seed) {
      const random = new Random(seed, 0x1a6);
      const before: Array<{ at: number; old: Buffer }> = [];
      const done: string[] = [];
      const write = (at: number, width: number, what: string, from: number): void => {
        before.push({ at, old: Buffer.from(view.subarray(at, at + width)) });
        const dice = random.below(4);
        if (dice === 0) view.copyWithin(at, from, from + width);
        else if (dice === 1) view.fill(random.pick([0, 0xff, 0x7f]), at, at + width);
        else if (dice === 2) view[at + random.below(width)]! ^= 1 << random.below(8);
        else view.writeUInt8(random.below(256), at);
        done.push(`${what} at ${at}: ${view.subarray(at, at + width).toString('hex')}`);
      };
      const record = (
        what: string,
        tables: ReadonlyArray<{ offset: number; size: number }>,
        width: number,
        fields: ReadonlyArray<readonly [number, number]>,
      ): void => {
        const { offset, size } = random.pick(tables);
        const [field, bytesWide] = random.pick(fields);
        write(
          offset + random.below(Math.floor(size / width)) * width + field,
          bytesWide,
          what,
          offset + random.below(Math.floor(size / width)) * width + field,
        );
      };
      for (let left = 1 + random.below(3); left > 0; left--) {
        const dice = random.below(10);
        if (dice < 3) record('section', [{ offset: table, size: count * 64 }], 64, HEADER);
        else if (dice < 6) record('symbol', symtabs, 24, SYMBOL);
        else if (dice < 9) record('rela', relas, 24, RELA);
        else record('string', strings, 1, [[0, 1]]);
      }
      return {
        done,
        run() {
          try {
            const found = scan(bytes, 'mutant.o');
            platformFacts(new ElfObject(MappedFile.ofBytes(bytes, 'mutant.o')));
            if (seed % 8 === 0) correlate(found, pristine);
            return 'scanned';
          } finally {
            for (const { at, old } of before.reverse()) view.set(old, at);
          }
        },
      };
    },
  };
}

function scan(bytes: Uint8Array, path: string): Scan {
  const object = new ElfObject(MappedFile.ofBytes(bytes, path));
  const table = readTable(object);
  const digests = digestShard(object, table, 0, table.symbols);
  const { uses } = digestSpecials(object, table, {});
  const all = new Uint32Array(digests.length + uses.length);
  all.set(digests);
  all.set(uses, digests.length);
  return { table, uses: all };
}
