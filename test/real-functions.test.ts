/**
 * Two functions of a real kernel (Debian's 6.12, GCC) that livepatches once went wrong in, each with one byte of an immediate edited: no instruction
 * changes its length, so nothing else moves.
 */
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  ElfObject,
  RELA_WORDS,
  R_ADDEND,
  R_OFFSET,
  R_SYM,
  R_TYPE,
  R_X86_64_PC32,
  R_X86_64_PLT32,
  s64,
  u64,
} from '../src/elf';
import { readTable } from '../src/stages/scan';
import { kernelFiles, skipWithout, unavailable } from './support/corpus';
import { BPF_PROG_RUN, BTF_SHOW_END, REAL_KERNEL, editedObject, type ByteEdit } from './support/real-functions';
import { klpflow, resultOf } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const EXECUTABLE = 4;

interface Symbol {
  name: string;
  section: number;
  value: number;
  size: number;
}

/** A relocation that the module loader applies, and the place it leads to. */
interface Reference {
  at: number;
  section: number;
  place: number;
}

/** An object as the checks below read it. */
class Output {
  readonly symbols: Symbol[];

  constructor(readonly object: ElfObject) {
    const { section, value, size } = readTable(object);
    this.symbols = Array.from({ length: object.symbolCount }, (_, i) => ({
      name: object.symbolName(i),
      section: section[i]!,
      value: value[i]!,
      size: size[i]!,
    }));
  }

  named(name: string): Symbol {
    const found = this.symbols.filter((symbol) => symbol.name === name && symbol.section !== 0);
    if (found.length !== 1) throw new Error(`${found.length} symbols ${name}`);
    return found[0]!;
  }

  /** References from [start, end) of a section that lead into a section of this object. */
  references(section: number, start: number, end: number): Reference[] {
    const { object, symbols } = this;
    const found: Reference[] = [];
    for (let relas = 1; relas < object.sectionCount; relas++) {
      if (object.type(relas) !== 4 || object.info(relas) !== section) continue;
      const words = object.relas(relas);
      for (let i = 0; i < words.length; i += RELA_WORDS) {
        const at = u64(words, i + R_OFFSET);
        const symbol = symbols[words[i + R_SYM]!]!;
        const relative = words[i + R_TYPE] === R_X86_64_PC32 || words[i + R_TYPE] === R_X86_64_PLT32;
        if (at >= start && at < end && symbol.section !== 0 && symbol.section < object.sectionCount)
          found.push({
            at: at - start,
            section: symbol.section,
            place: symbol.value + s64(words, i + R_ADDEND) + (relative ? 4 : 0),
          });
      }
    }
    return found;
  }

  isCode(section: number): boolean {
    return (this.object.sectionFlags(section) & EXECUTABLE) !== 0;
  }
}

/** The livepatch object of ORIG with one byte edited. */
async function patchOf(
  edit: ByteEdit,
): Promise<{ changed: string[]; klpSymbols: string[]; output: Output; patched: string }> {
  const { orig, patched } = editedObject(edit, folder);
  const { symvers, vmlinux } = kernelFiles(REAL_KERNEL);
  const out = join(folder, `${edit.name}-livepatch.o`);
  const ran = await klpflow([
    'diff',
    orig,
    patched,
    '-o',
    out,
    '--symvers',
    symvers,
    '--vmlinux',
    vmlinux,
    '--run-dir',
    join(folder, 'run'),
    '--json',
  ]);
  const result = resultOf(ran);
  expect({ verdict: result.verdict, told: result.diagnostics.filter(({ severity }) => severity !== 'note') }).toEqual({
    verdict: 'patchable',
    told: [],
  });
  const { functions, klpSymbols } = result.objects[0]!;
  return {
    changed: functions.changed.map((one) => one.name),
    klpSymbols: klpSymbols.map((one) => one.name),
    output: new Output(ElfObject.open(out)),
    patched,
  };
}

describe(REAL_KERNEL, () => {
  beforeEach((context) => skipWithout(context, unavailable(REAL_KERNEL, true)));

  test('___bpf_prog_run jumps through its own table', async () => {
    // The kernel's table is equal, and leads into the old body: the first `goto` would leave the new one for good.
    const { changed, klpSymbols, output, patched } = await patchOf(BPF_PROG_RUN);
    expect(changed).toEqual(['___bpf_prog_run']);
    expect(klpSymbols.filter((name) => name.startsWith('jumptable'))).toEqual([]);
    expect(output.symbols.filter(({ name }) => name.includes('.klp.sym.') && name.includes('jumptable'))).toEqual([]);

    const body = output.named('___bpf_prog_run');
    const table = output.symbols.filter(({ name }) => name.startsWith('jumptable'));
    expect(table).toHaveLength(1);
    const labels = output.references(table[0]!.section, table[0]!.value, table[0]!.value + table[0]!.size);
    expect(labels).toHaveLength(256);
    for (const { section, place } of labels)
      expect(section === body.section && place > body.value && place < body.value + body.size).toBe(true);
    // Each at the distance that it has from the function's start in PATCHED.
    const before = new Output(ElfObject.open(patched));
    const [old, oldTable] = [before.named('___bpf_prog_run'), before.named(table[0]!.name)];
    expect(labels.map(({ at, place }) => [at, place - body.value])).toEqual(
      before
        .references(oldTable.section, oldTable.value, oldTable.value + oldTable.size)
        .map(({ at, place }) => [at, place - old.value]),
    );
    const read = output
      .references(body.section, body.value, body.value + body.size)
      .filter(({ section, place }) => section === table[0]!.section && place === table[0]!.value);
    expect(read.length).toBeGreaterThan(0);
  });

  test('btf_show_end_aggr_type compares with the start of the literal whose end it counts from', async () => {
    const { changed, output } = await patchOf(BTF_SHOW_END);
    expect(changed).toEqual(['btf_show_end_aggr_type']);

    const BLANKS = `${' '.repeat(32)}\0`;
    const body = output.named('btf_show_end_aggr_type');
    const inside = output
      .references(body.section, body.value, body.value + body.size)
      .filter(({ section }) => !output.isCode(section))
      .flatMap(({ section, place }) => {
        const start = Buffer.from(output.object.content(section)).indexOf(BLANKS, 0, 'latin1');
        return start >= 0 && place >= start && place < start + BLANKS.length ? [place - start] : [];
      });
    expect(inside.sort((a, b) => a - b)).toEqual([0, 32]);
  });
});
