/** What says how the running kernel is: Module.symvers, listings, its image, its types, lists of functions. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ElfObject } from '../../../src/elf';
import { platformFacts } from '../../../src/livepatch/facts';
import { traceableNames } from '../../../src/kernel/ftrace-list';
import { ParentExports, ParentSymbols } from '../../../src/livepatch/kpatch';
import { readKernelStructs } from '../../../src/livepatch/ko';
import { KernelListing } from '../../../src/kernel/listing';
import { Symvers } from '../../../src/kernel/symvers';
import { readStructSizes } from '../../../src/pipeline/btf-file';
import { readBtf } from '../../../src/pipeline/btf-file';
import { extract } from '../../../src/stages/extract/extract';
import { diffInline, type InlineDiff } from '../../../src/stages/inline';
import { checkRunningKernel } from '../../../src/stages/running-kernel';
import { SymbolPositions } from '../../../src/stages/running-kernel/sympos';
import { verify } from '../../../src/verify';
import { ElfWriter } from '../../../src/elf/writer';
import { SHF_ALLOC, SHF_EXECINSTR, STT_FUNC } from '../../../src/elf/constants';
import { kernelFiles, livepatchModule, testKernel } from '../livepatch-module';
import { headerAt } from '../module-draft';
import { damaged } from './mutate-within';
import { mutateText } from './mutate-text';
import { mutateWords } from './mutate-words';
import { checkResult, ELF_CODES, type Mutant, type Subject } from './outcome';
import { exportsOf, kernelTypes, type SmallKernel } from './small-kernel';

/** Module.symvers, System.map, kallsyms, readelf and available_filter_functions, as text. */
export function textSubject(kernel: SmallKernel, folder: string): Subject {
  const fixture = kernelFiles(folder);
  const whole = join(folder, 'whole.ko');
  writeFileSync(whole, livepatchModule().module.bytes());
  const names = readFileSync(kernel.listing, 'latin1')
    .split('\n')
    .slice(0, 40)
    .map((line) => line.split(' ')[2] ?? '')
    .filter((name) => name !== '');
  const kallsyms = Buffer.from(
    `${testKernel().kallsyms()}ffffffffc0000010 t loader\t[loop]\nffffffffc0000000 d loop_state\t[loop]\n`,
  );
  const rows = Buffer.from(
    [
      "Symbol table '.symtab' contains 60 entries:",
      '   Num:    Value          Size Type    Bind   Vis      Ndx Name',
      '     0: 0000000000000000     0 NOTYPE  LOCAL  DEFAULT  UND ',
      '     1: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS main.c',
      ...['_stext', ...names].map(
        (name, i) =>
          `${String(i + 2).padStart(6)}: ${(0xffffffff81000000n + BigInt(i) * 64n).toString(16)} ${i % 5 === 0 ? '0x100000' : '    64'} ${i % 2 === 0 ? 'FUNC   ' : 'OBJECT '} ${i % 3 === 0 ? 'LOCAL ' : 'GLOBAL'} DEFAULT ${i % 7 === 0 ? '[<other>: 88] ' : ' '}  1 ${name}`,
      ),
      '',
    ].join('\n'),
  );
  const symvers = Buffer.from(exportsOf(names) + readFileSync(fixture.symvers, 'latin1'));
  const list = join(folder, 'list');
  const readers: Record<string, (bytes: Buffer) => string> = {
    symvers(bytes) {
      const found = Symvers.parse(bytes.toString('utf8'), 'Module.symvers');
      for (const name of ['__proto__', 'constructor', '_printk']) checkResult(found.get(name) ?? {});
      return 'symvers';
    },
    exports(bytes) {
      const found = new ParentExports(bytes, 'Module.symvers');
      return ['__proto__', 'constructor', ...names].every((name) =>
        ['string', 'undefined'].includes(typeof found.ownerOf(name)),
      )
        ? 'exports'
        : 'BUG: an owner that is no name';
    },
    listing(bytes) {
      const found = KernelListing.parse(new Uint8Array(bytes), 'kallsyms');
      for (const name of [...names, 'alpha', 'state'])
        for (const cleaning of ['none', 'first-dot', 'llvm'] as const)
          for (const entry of found.find(name, cleaning)) found.address(entry);
      found.findInModule('loop', 'loader');
      return 'listing';
    },
    parent(bytes) {
      const found = ParentSymbols.parse(new Uint8Array(bytes));
      for (const name of names)
        checkResult([...found.locals(name), ...found.globals(name)].map((entry) => found.symbol(entry).size));
      for (const block of found.blocks('main.c')) found.localsOf(block);
      return 'parent';
    },
    verify(bytes) {
      writeFileSync(list, bytes);
      checkResult([], verify({ module: whole, vmlinux: list }).diagnostics);
      return 'verified';
    },
    verifyExports(bytes) {
      writeFileSync(list, bytes);
      checkResult([], verify({ module: whole, symvers: list }).diagnostics);
      return 'verified';
    },
    ftrace: (bytes) =>
      `traceable-${traceableNames(bytes.toString('utf8'), 'vmlinux', 'available_filter_functions').size > 0}`,
  };
  const texts: Array<[keyof typeof readers, Buffer]> = [
    ['symvers', symvers],
    ['exports', symvers],
    ['verifyExports', symvers],
    ['listing', kallsyms],
    ['listing', rows],
    ['parent', rows],
    ['verify', kallsyms],
    ['verify', rows],
    ['ftrace', Buffer.from(names.map((name, i) => `${name}${i % 4 === 0 ? ' [loop]' : ''}\n`).join(''))],
  ];
  return {
    codes: new Set(['malformed-symvers', 'unusable-listing', 'malformed-symbol-list', 'not-elf']),
    mutant(seed): Mutant {
      const [reader, text] = texts[seed % texts.length]!;
      const { bytes, done } = mutateText(text, seed);
      return { done: [reader, ...done], run: () => readers[reader]!(bytes) };
    },
  };
}

/** Kernel types, raw and in an ELF file, for klpflow's reader and the verifier's own. */
export function typesSubject(folder: string): Subject {
  const raw = kernelTypes();
  const writer = new ElfWriter({ machine: 62 });
  writer.section({ name: '.text', content: new Uint8Array(64) });
  writer.section({ name: '.BTF', content: raw });
  const elf = Buffer.concat(Array.from(writer.chunks(), (chunk) => Buffer.from(chunk)));
  const whole = join(folder, 'whole.ko');
  writeFileSync(whole, livepatchModule().module.bytes());
  const path = join(folder, 'types.btf');
  return {
    codes: new Set([...ELF_CODES, 'no-btf', 'not-linked', 'unreadable']),
    mutant(seed) {
      const { bytes, done } = seed % 5 === 0 ? damaged(elf, seed) : mutateWords(raw, seed);
      return {
        done: [seed % 5 === 0 ? 'an ELF file' : 'raw BTF', ...done],
        run() {
          writeFileSync(path, bytes);
          if (seed % 2 === 0) {
            checkResult([], verify({ module: whole, btf: path }).diagnostics);
            return 'verified';
          }
          checkResult(readStructSizes(path));
          const btf = readBtf(path);
          checkResult(readKernelStructs(btf.bytes, btf.path));
          return 'types';
        },
      };
    },
  };
}

/** A linked image: positions are looked up in it, and the code of replaced functions is compared with it. */
export function imageSubject(kernel: SmallKernel, folder: string): Subject {
  const orig = ElfObject.open(kernel.orig);
  const found = diffInline(orig, ElfObject.open(kernel.patched), { objectName: 'vmlinux' });
  const image = imageOf(found);
  const path = join(folder, 'vmlinux');
  return {
    codes: new Set([...ELF_CODES, 'not-linked', 'unusable-listing']),
    mutant(seed) {
      const { bytes, done } = damaged(image, seed);
      return {
        done: ['vmlinux', ...done],
        run() {
          writeFileSync(path, bytes);
          const listing = KernelListing.open(path);
          const positions = new SymbolPositions(found.orig, 'vmlinux', listing);
          const {
            assessment: { included, undecided, copied },
            correlation: { pairing },
          } = found;
          const { replaced, references, klpSymbols, diagnostics } = extract({
            pairing,
            orig: found.orig,
            patched: found.patched,
            objectName: 'vmlinux',
            included,
            undecided: new Set(undecided),
            copied: new Set(copied),
            symvers: Symvers.EMPTY,
            positions,
            facts: platformFacts(orig),
            provenance: { orig: 'o', patched: 'p' },
          });
          diagnostics.push(
            ...checkRunningKernel({ orig: found.orig, positions, listing, functions: replaced, references }),
          );
          checkResult(klpSymbols, diagnostics);
          return diagnostics.length === 0 ? 'the-kernel' : 'another-kernel';
        },
      };
    },
  };
}

/** All functions of ORIG, linked: the code that is replaced is there as it stands in ORIG. */
function imageOf({ orig }: InlineDiff): Buffer {
  const BASE = 0xffffffff81000000n;
  const { table } = orig;
  const text: Buffer[] = [];
  const placed: Array<{ name: string; offset: number; size: number; type: number }> = [];
  let offset = 0;
  for (let symbol = 1; symbol < table.symbols; symbol++) {
    const name = orig.name(symbol);
    if (!/^[A-Za-z_]/.test(name)) continue;
    const type = table.info[symbol]! & 0xf;
    const code = type === STT_FUNC && table.section[symbol] !== 0 ? Buffer.from(orig.bytes(symbol)) : Buffer.alloc(16);
    placed.push({ name, offset, size: table.size[symbol]!, type });
    const room = Buffer.alloc(Math.ceil(code.length / 16) * 16 || 16);
    code.copy(room);
    text.push(room);
    offset += room.length;
  }
  const writer = new ElfWriter({ machine: 62 });
  const section = writer.section({
    name: '.text',
    flags: SHF_ALLOC | SHF_EXECINSTR,
    align: 16,
    content: Buffer.concat(text),
  });
  writer.symbol({ name: '_stext', binding: 1, type: 0, section, value: BASE, size: 0 });
  for (const { name, offset: at, size, type } of placed)
    writer.symbol({ name, binding: 1, type, section, value: BASE + BigInt(at), size });
  const file = Buffer.concat(Array.from(writer.chunks(), (chunk) => Buffer.from(chunk)));
  file.writeUInt16LE(2, 16);
  file.writeBigUInt64LE(BASE, headerAt(file, '.text') + 16);
  return file;
}
