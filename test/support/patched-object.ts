import {
  EM_X86_64,
  R_X86_64_32S,
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
  STT_OBJECT,
} from '../../src/elf';
import { LivepatchObject, type OutputSection, type OutputSymbol, type PlatformFacts } from '../../src/livepatch/object';

/** Facts of a kernel with IBT, padding, return thunks, retpolines, ORC and modversions. */
export const PLATFORM: PlatformFacts = {
  vermagic: '6.12.0 SMP preempt mod_unload modversions ',
  prefixBytes: 16,
  functionAlign: 16,
  ibt: true,
  returns: 'thunk',
  kcfi: null,
  orcAtStart: '080000000502',
  retpoline: true,
  kobjectRelease: false,
};

const GLOBAL = STB_GLOBAL << 4;
const TEXT = SHF_ALLOC | SHF_EXECINSTR;

/** A livepatch object made by hand: code with the table entries that extract would bring. */
export class PatchedObject {
  readonly object: LivepatchObject;

  constructor(name = 'vmlinux', facts: Partial<PlatformFacts> = {}) {
    this.object = new LivepatchObject(
      name,
      EM_X86_64,
      { ...PLATFORM, ...facts },
      { orig: `${name}-orig`, patched: `${name}-patched` },
    );
  }

  section(
    name: string,
    flags: number,
    options: { type?: number; entsize?: number; use?: 'both' | 'build' | 'module' } = {},
  ): OutputSection {
    return this.object.section({ name, type: SHT_PROGBITS, entsize: 0, flags, ...options });
  }

  /** `f3 0f 1e fa`, `code`, then a jump to the return thunk, behind 16 NOPs; with return site and stack layouts. */
  func(name: string, code: number[] = [], { global = true } = {}): OutputSymbol {
    const text = this.section(`.text.${name}`, TEXT);
    const bytes = Uint8Array.of(0xf3, 0x0f, 0x1e, 0xfa, ...code, 0xe9, 0, 0, 0, 0);
    text.append(new Uint8Array(16).fill(0x90), 16);
    const value = text.append(bytes);
    const symbol = this.object.define({
      name,
      info: (global ? GLOBAL : 0) | STT_FUNC,
      section: text,
      value,
      size: bytes.length,
    });
    text.relas.push({
      offset: value + bytes.length - 4,
      type: R_X86_64_PLT32,
      symbol: this.object.reference('__x86_return_thunk', GLOBAL),
      addend: -4,
    });
    this.entry('.return_sites', symbol, bytes.length - 5);
    this.orc(symbol, -16, Buffer.from(PLATFORM.orcAtStart!, 'hex'));
    this.orc(symbol, bytes.length, new Uint8Array(6));
    return symbol;
  }

  /** A function that takes another's place. */
  replace(oldName: string, sympos = 0, code: number[] = []): OutputSymbol {
    const replacement = this.func(oldName, code);
    this.object.funcs.push({ oldName, sympos, evidence: 'test', replacement });
    return replacement;
  }

  /** `call` to a symbol by name, in a function of its own. */
  call(name: string, target: string, { weak = false } = {}): OutputSymbol {
    const symbol = this.func(name, [0xe8, 0, 0, 0, 0]);
    (symbol.section as OutputSection).relas.push({
      offset: symbol.value + 5,
      type: R_X86_64_PLT32,
      symbol: this.object.reference(target, weak ? 2 << 4 : GLOBAL),
      addend: -4,
    });
    return symbol;
  }

  /** `mov TARGET(%rip), %eax`, through a klp relocation, in a function of its own. */
  load(name: string, module: string, target: string, sympos = 0): OutputSymbol {
    const symbol = this.func(name, [0x8b, 0x05, 0, 0, 0, 0]);
    const klp = this.object.klpSymbol({
      module,
      name: target,
      sympos,
      evidence: 'test',
      patchedName: target,
      info: GLOBAL | STT_OBJECT,
    });
    this.object.klpRelas.push({
      section: symbol.section as OutputSection,
      offset: symbol.value + 6,
      type: R_X86_64_PC32,
      target: klp,
      addend: -4,
    });
    return symbol;
  }

  /** `mov $TEXT, %rdi`, in a function of its own. */
  print(name: string, text: string): OutputSymbol {
    const symbol = this.func(name, [0x48, 0xc7, 0xc7, 0, 0, 0, 0]);
    const strings = this.section('.rodata.str1.1', SHF_ALLOC | SHF_MERGE | SHF_STRINGS, { entsize: 1 });
    const offset = strings.append(new TextEncoder().encode(`${text}\0`));
    (symbol.section as OutputSection).relas.push({
      offset: symbol.value + 7,
      type: R_X86_64_32S,
      symbol: this.object.sectionSymbol(strings),
      addend: offset,
    });
    return symbol;
  }

  data(name: string, content: Uint8Array | number, section = `.data.${name}`, align = 8): OutputSymbol {
    const into = this.section(section, SHF_ALLOC | SHF_WRITE, typeof content === 'number' ? { type: SHT_NOBITS } : {});
    return this.object.define({
      name,
      info: GLOBAL | STT_OBJECT,
      section: into,
      value: into.append(content, align),
      size: typeof content === 'number' ? content : content.length,
    });
  }

  /** One 4-byte entry of a table of addresses. */
  entry(table: string, symbol: OutputSymbol, addend: number): void {
    const section = this.section(table, SHF_ALLOC, { entsize: 4, use: 'module' });
    section.relas.push({ offset: section.append(4), type: R_X86_64_PC32, symbol, addend });
  }

  orc(symbol: OutputSymbol, addend: number, word: Uint8Array): void {
    this.entry('.orc_unwind_ip', symbol, addend);
    this.section('.orc_unwind', SHF_ALLOC, { entsize: 6, use: 'module' }).append(word);
  }
}
