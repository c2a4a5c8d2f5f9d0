import {
  EM_X86_64,
  R_X86_64_32S,
  R_X86_64_64,
  R_X86_64_PC32,
  R_X86_64_PLT32,
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_MERGE,
  SHF_STRINGS,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_PROGBITS,
  STB_GLOBAL,
  STT_FUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STT_SECTION,
} from '../../src/elf';
import { LivepatchObject, type OutputSection, type OutputSymbol, type PlatformFacts } from '../../src/livepatch/object';

export const FACTS: PlatformFacts = {
  vermagic: '7.2.13 SMP preempt mod_unload modversions ',
  prefixBytes: 16,
  functionAlign: 16,
  ibt: true,
  returns: 'thunk',
  kcfi: { init: 0xffffffff, exit: 7 },
  orcAtStart: '0800000000a5',
  retpoline: true,
  kobjectRelease: false,
};

const GLOBAL = STB_GLOBAL << 4;

export interface Sample {
  object: LivepatchObject;
  text: OutputSection;
  strings: OutputSection;
}

/**
 * A livepatch object with one of everything: code with and without klp relocations, strings by their section's symbol,
 * data without bytes, an absolute symbol, two functions of one name in the kernel, entries for objtool, tables for the
 * module alone, callbacks, a namespace.
 */
export function sample(name = 'vmlinux'): Sample {
  const object = new LivepatchObject(name, EM_X86_64, FACTS, { orig: 'f00d-1', patched: 'beef-2' });
  const section = (
    named: string,
    flags: number,
    entsize = 0,
    use: 'both' | 'build' | 'module' = 'both',
    type = SHT_PROGBITS,
  ): OutputSection => object.section({ name: named, type, flags, entsize, use });
  const text = section('.text.foo', SHF_ALLOC | SHF_EXECINSTR);
  const strings = section('.rodata.str1.1', SHF_ALLOC | SHF_MERGE | SHF_STRINGS, 1);
  const bss = section('.bss.seen', SHF_ALLOC | SHF_WRITE, 0, 'both', SHT_NOBITS);
  const mcount = section('__mcount_loc', SHF_ALLOC, 8);
  const annotations = section('.discard.annotate_insn', SHF_MERGE, 8, 'build');
  const returns = section('.return_sites', SHF_ALLOC, 0, 'module');

  const define = (symbol: Partial<OutputSymbol> & Pick<OutputSymbol, 'name' | 'section'>): OutputSymbol =>
    object.define({ info: 0, value: 0, size: 0, ...symbol });
  const stringsSymbol = define({ name: '', info: STT_SECTION, section: strings });
  text.append(new Uint8Array(16).fill(0x90), 16);
  text.append(new Uint8Array(64), 16);
  define({ name: '__pfx_foo', info: GLOBAL | STT_FUNC, section: text, size: 16 });
  const foo = define({ name: 'foo', info: GLOBAL | STT_FUNC, section: text, value: 16, size: 64 });
  const callback = define({
    name: 'before',
    info: STT_FUNC,
    section: text,
    value: text.append(Uint8Array.of(0xc3), 16),
    size: 1,
  });
  const seen = define({ name: 'seen', info: STT_OBJECT, section: bss, value: bss.append(4, 4), size: 4 });
  const phys = define({
    name: 'phys_base_difference',
    info: GLOBAL | STT_NOTYPE,
    section: 'absolute',
    value: -0x7f000000,
  });
  const printk = object.reference('_printk', GLOBAL | STT_FUNC);

  text.relas.push(
    { offset: 20, type: R_X86_64_PLT32, symbol: printk, addend: -4 },
    { offset: 32, type: R_X86_64_PC32, symbol: seen, addend: -5 },
  );
  text.relas.push(
    {
      offset: 40,
      type: R_X86_64_32S,
      symbol: stringsSymbol,
      addend: strings.append(new TextEncoder().encode('hello\0')),
    },
    { offset: 44, type: R_X86_64_32S, symbol: phys, addend: 0 },
  );
  for (const { table, type } of [
    { table: mcount, type: R_X86_64_64 },
    { table: annotations, type: R_X86_64_PC32 },
    { table: returns, type: R_X86_64_PC32 },
  ]) {
    table.relas.push({ offset: table.append(8, 8), type, symbol: foo, addend: 4 });
  }

  const first = object.klpSymbol({
    module: 'vmlinux',
    name: 'helper',
    sympos: 1,
    evidence: 'symids',
    patchedName: 'helper',
    info: STT_FUNC,
  });
  const second = object.klpSymbol({
    module: 'vmlinux',
    name: 'helper',
    sympos: 2,
    evidence: 'file order',
    patchedName: 'helper',
    info: STT_FUNC,
  });
  const counter = object.klpSymbol({
    module: name,
    name: 'counter.7',
    sympos: 0,
    evidence: 'unique',
    patchedName: 'counter.3',
    info: STT_OBJECT,
  });
  for (const [offset, target] of [
    [48, first],
    [56, second],
    [64, first],
  ] as const)
    object.klpRelas.push({ section: text, offset, type: R_X86_64_PLT32, target, addend: -4 });
  object.klpRelas.push({ section: text, offset: 72, type: R_X86_64_32S, target: counter, addend: 8 });

  object.funcs.push({ oldName: 'foo.llvm.123', sympos: 3, evidence: 'symids', replacement: foo });
  object.callbacks.pre_patch = callback;
  object.importNs.push('CRYPTO_INTERNAL');
  return { object, text, strings };
}

/** A livepatch object as plain data: every reference by name and place, and nothing that depends on identity. */
export function plain(object: LivepatchObject): unknown {
  const local = ({ info }: OutputSymbol): number => (info >> 4 === 0 ? 0 : 1);
  const symbolsOrdered = [...object.symbols].sort((a, b) => local(a) - local(b));
  const numbers = new Map(symbolsOrdered.map((symbol, index) => [symbol, index]));
  const named = (section: OutputSection): string => `${object.sections.indexOf(section)} ${section.name}`;
  return {
    name: object.name,
    machine: object.machine,
    facts: object.facts,
    provenance: object.provenance,
    importNs: object.importNs,
    sections: object.sections.map(({ name, type, flags, entsize, use, align, size, bytes, relas }) => ({
      name,
      type,
      flags,
      entsize,
      use,
      align,
      size,
      bytes: Buffer.from(bytes).toString('hex'),
      relas: relas.map((rela) => ({ ...rela, symbol: numbers.get(rela.symbol) })),
    })),
    symbols: symbolsOrdered.map((symbol) => ({
      ...symbol,
      section: typeof symbol.section === 'string' ? symbol.section : named(symbol.section),
    })),
    klpRelas: object.klpRelas.map((rela) => ({ ...rela, section: named(rela.section) })),
    funcs: object.funcs.map((func) => ({ ...func, replacement: numbers.get(func.replacement) })),
    callbacks: Object.entries(object.callbacks).map(([name, symbol]) => [name, numbers.get(symbol)]),
  };
}
