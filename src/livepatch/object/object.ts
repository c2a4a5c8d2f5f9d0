import type { EntryHashes } from '../../kernel/kcfi';
import { OutputSection, type SectionAttributes } from './section';
import { OutputSymbols } from './symbols';
import type { Callback, KlpFunc, KlpRela, KlpSymbol } from './symbol';
import type { OutputSymbol } from './section';

/** What ORIG says about the kernel it was built for, as far as a module for it must know. */
export interface PlatformFacts {
  /** The string that the kernel compares a module's with, as it stands in ORIG (it ends in a space); null where ORIG has none (a module's object). */
  vermagic: string | null;
  /** Bytes of padding before a function (`__pfx_*`), 0 for none. */
  prefixBytes: number;
  /** Alignment of functions. */
  functionAlign: number;
  /** Functions begin with endbr64, and boot code removes those that are not needed. 'before-objtool': so they do, and nothing says yet which are not. */
  ibt: boolean | 'before-objtool';
  /** How functions return: through `__x86_return_thunk`, or by `ret`, with or without the int3 behind it. */
  returns: 'thunk' | 'ret' | 'ret-int3';
  /** Type hashes of `int (void)` and `void (void)` where functions have kCFI preambles; null without kCFI; 'no-donor' where nothing shows them, 'disagreement' where what shows them does not agree. */
  kcfi: EntryHashes | 'no-donor' | 'disagreement' | null;
  /** The 6 bytes of an ORC entry at an ordinary function's start, in hex; null for a kernel without ORC. Copied, never composed: register numbers differ by release. */
  orcAtStart: string | null;
  /** The kernel was built with retpolines (`.retpoline_sites`), so modules say so, too. */
  retpoline: boolean;
  /** CONFIG_DEBUG_KOBJECT_RELEASE (`kobject_delayed_cleanup` exists): kobjects, and all that holds one, are larger. */
  kobjectRelease: boolean;
}

/** Of an object that says nothing of its kernel. */
export const NO_FACTS: PlatformFacts = {
  vermagic: null,
  prefixBytes: 0,
  functionAlign: 1,
  ibt: false,
  returns: 'ret',
  kcfi: null,
  orcAtStart: null,
  retpoline: false,
  kobjectRelease: false,
};

/** Where a livepatch object comes from: content digests, for its `.modinfo`. */
export interface Provenance {
  orig: string;
  patched: string;
}

/**
 * What goes into a livepatch for one patched object (vmlinux or one module), before it is a file. Made by the stage
 * extract; written as an object for klp-build, or together with others as a module.
 */
export class LivepatchObject extends OutputSymbols {
  readonly sections: OutputSection[] = [];
  readonly klpRelas: KlpRela[] = [];
  readonly funcs: KlpFunc[] = [];
  /** Functions to call around patching, by the symbol that holds their code. */
  readonly callbacks: Partial<Record<Callback, OutputSymbol>> = {};
  /** Namespaces that PATCHED imports by its own `.modinfo`. */
  readonly importNs: string[] = [];
  private readonly byName = new Map<string, OutputSection>();
  private readonly undefinedByName = new Map<string, OutputSymbol>();
  private readonly absolutes = new Map<string, OutputSymbol>();
  private readonly klpSymbols = new Map<string, KlpSymbol>();

  /** `name` is `vmlinux` or a module's run-time name; `machine` is ELF's e_machine. */
  constructor(
    readonly name: string,
    readonly machine: number,
    readonly facts: PlatformFacts,
    readonly provenance: Provenance,
  ) {
    super();
  }

  /** The section of this name, made at the first call. Sections of one name but other attributes are kept apart. */
  section(attributes: SectionAttributes): OutputSection {
    const key = [attributes.name, attributes.type, attributes.flags, attributes.entsize, attributes.use ?? 'both'].join(
      '\0',
    );
    let section = this.byName.get(key);
    if (section === undefined) {
      section = this.addSection(attributes);
      this.byName.set(key, section);
    }
    return section;
  }

  /** A section of its own, whatever others are called. */
  addSection(attributes: SectionAttributes): OutputSection {
    const section = new OutputSection(attributes);
    this.sections.push(section);
    return section;
  }

  /** The undefined symbol of this name, made at the first call. */
  reference(name: string, info: number): OutputSymbol {
    let symbol = this.undefinedByName.get(name);
    if (symbol === undefined) {
      symbol = this.define({ name, info, section: 'undefined', value: 0, size: 0 });
      this.undefinedByName.set(name, symbol);
    }
    return symbol;
  }

  /** The absolute symbol of this name, made at the first call. */
  absolute(name: string, info: number, value: number): OutputSymbol {
    let symbol = this.absolutes.get(name);
    if (symbol === undefined) {
      symbol = this.define({ name, info, section: 'absolute', value, size: 0 });
      this.absolutes.set(name, symbol);
    }
    return symbol;
  }

  /** One symbol for each (module, name, position), whoever refers to it. */
  klpSymbol(symbol: KlpSymbol): KlpSymbol {
    const key = `${symbol.module}.${symbol.name},${symbol.sympos}`;
    const known = this.klpSymbols.get(key);
    if (known !== undefined) return known;
    this.klpSymbols.set(key, symbol);
    return symbol;
  }
}
