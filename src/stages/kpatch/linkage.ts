import type { SymbolIndex } from '../../elf';
import type { KlpSymbol } from '../../livepatch/object';
import type { ParentExports } from '../../livepatch/kpatch/exports';
import { CORE_FUNCTIONS } from '../../livepatch/kpatch/layout';
import type { ParentSymbol, ParentSymbols } from '../../livepatch/kpatch/parent-symbols';
import { kernelSection } from '../../kernel/sections';
import { SectionClass } from '../../kernel/section-class';
import { PromotedNames, promotedName } from '../compare';
import { namesOf, originOf } from '../correlate';
import type { Copy } from '../extract/clones';
import { isIndirectTarget, takesAddress } from '../extract/function-address';
import { remembered } from '../extract/linkage';
import type { Link, Links, Use } from '../extract/link';
import type { Refusals } from '../extract/refusals';
import type { CopyInput } from '../extract/types';
import { Kind, Trait } from '../scan';
import { FileBlocks } from './file-blocks';

/** A symbol as the parent's table or the exports have it. */
interface Found {
  object: string;
  symbol: ParentSymbol;
  exported: boolean;
  local: boolean;
}

/**
 * How references leave an object of create-diff-object: what the parent's symbol table has is named for the livepatch core, what is
 * exported by vmlinux, or found nowhere (another object of the same patch may have it), is left to the module loader.
 */
export class KpatchLinks implements Links {
  /** Address and export of each symbol that a klp relocation may name. */
  readonly found = new Map<KlpSymbol, { address: bigint; exported: boolean }>();
  /** ORIG's symbols of these, as far as it has them. */
  readonly references = new Set<number>();
  private readonly links = new Map<number, Link>();
  private readonly pointers = new Map<number, Link>();
  private readonly origins: ReadonlyMap<number, number>;
  private readonly blocks: FileBlocks;

  constructor(
    private readonly input: CopyInput,
    private readonly parent: ParentSymbols,
    private readonly exports: ParentExports,
    private readonly refusals: Refusals,
  ) {
    this.origins = new Map(input.included.map(({ symbol, origin }) => [symbol, origin]));
    this.blocks = new FileBlocks(input.orig, parent);
  }

  /** create-diff-object leaves placeholders: what it does not know is not looked for here. */
  variable(): undefined {
    return undefined;
  }

  of(symbol: SymbolIndex, named: number, from: Copy, at: number, use?: Use): Link {
    const origin = this.origins.get(symbol);
    if (origin !== undefined) {
      if (origin === 0 || use === undefined || !this.isPointer(symbol, origin, use, from, at)) return { kind: 'clone' };
      return remembered(this.pointers, named, () => this.existing(symbol, named, origin, from, at));
    }
    const { patched } = this.input;
    if (
      use !== undefined &&
      (named === 0 || patched.table.kind[symbol] === Kind.UNDEFINED) &&
      patched.arch.isLoadersOwn(use.type) &&
      kernelSection(from.section.name)?.entries?.key !== 'static branch'
    )
      return { kind: 'import', name: patched.name(named) };
    return remembered(this.links, named, () => this.decide(symbol, named, from, at));
  }

  original(name: number, named: number): KlpSymbol | undefined {
    const { orig } = this.input;
    const found = this.lookUp(orig.name(name), name);
    // The loader finds exports by itself, and a list of ids is none.
    const link =
      found === undefined ? undefined : this.linkTo({ ...found, exported: false }, orig.name(name), named, 0);
    if (link?.kind !== 'klp') return undefined;
    this.references.add(name);
    return link.target;
  }

  /** The parent's entry for a function of ORIG that is replaced, and the one of its names that it has there; undefined where it has none, which is told. */
  replaced(origin: SymbolIndex): { name: number; symbol: ParentSymbol } | undefined {
    const { orig } = this.input;
    const [name] = this.origNames(origin, 0);
    const found = name === undefined ? undefined : this.lookUp(orig.name(name), name);
    if (found === undefined || found.object !== this.input.objectName) {
      this.refusals.add(
        this.codeFor(origin),
        orig.name(origin),
        orig.sectionName(origin),
        undefined,
        `${orig.name(origin)} changed, and ${this.untold}`,
      );
      return undefined;
    }
    // kallsyms has no sizes; a link leaves them as they are.
    return {
      name: name!,
      symbol: found.symbol.size === 0 ? { ...found.symbol, size: orig.table.size[origin]! } : found.symbol,
    };
  }

  /** Whether the parent has nothing of these names, or more than one of a name: two units `dir.c` that both have a static `fill_dir`. */
  private codeFor(origin: SymbolIndex): 'not-in-kernel' | 'position-unknown' {
    const {
      parent,
      input: { orig },
    } = this;
    return this.origNames(origin, 0).some(
      (name) => parent.locals(orig.name(name)).length + parent.globals(orig.name(name)).length > 0,
    )
      ? 'position-unknown'
      : 'not-in-kernel';
  }

  private get untold(): string {
    const {
      parent,
      input: { objectName },
    } = this;
    return `the symbol table of ${objectName}${parent.namesUnits ? '' : ', a list without units (what readelf -sW prints has them),'} does not tell which of its symbols that is`;
  }

  /** A pointer to a function that is replaced is the old one's, but where the differ itself left it for who reads the object. */
  private isPointer(symbol: SymbolIndex, origin: SymbolIndex, use: Use, from: Copy, at: number): boolean {
    const { orig, patched } = this.input;
    return (
      !from.section.name.startsWith('.kpatch.') &&
      takesAddress(patched, symbol, use, from, at) &&
      isIndirectTarget(orig, origin, patched, symbol)
    );
  }

  private decide(symbol: SymbolIndex, named: number, from: Copy, at: number): Link {
    const { pairing, patched, undecided } = this.input;
    const { table } = patched;
    if (table.kind[symbol] === Kind.UNDEFINED)
      return this.promoted(symbol, from, at) ?? this.byName(patched.name(symbol), symbol, from, at);
    if (undecided.has(symbol)) return { kind: 'refused' };
    if (this.input.copied.has(symbol)) return { kind: 'clone' };
    const bits = table.sectionClass[table.section[symbol]!]!;
    if (
      table.kind[symbol] === Kind.CONTENT ||
      table.kind[symbol] === Kind.PRIVATE ||
      (bits & SectionClass.RECORD) !== 0
    )
      return { kind: 'clone' };
    const twin = originOf(pairing, symbol);
    if (twin !== 0) return this.existing(symbol, named, twin, from, at);
    if (table.has(symbol, Trait.OBJECT)) return { kind: 'clone' };
    // A label without a size: only a global name is the same in both builds.
    if (!table.isLocal(named)) return this.byName(patched.name(named), named, from, at);
    this.refusals.add(
      'unresolved-reference',
      patched.name(named),
      patched.object.name(from.range.section),
      at,
      `${from.name} refers to ${patched.name(named)}, which has no counterpart in ORIG and cannot be copied`,
    );
    return { kind: 'refused' };
  }

  /** Something that ORIG has, too, under ORIG's name. */
  private existing(symbol: SymbolIndex, named: number, twin: SymbolIndex, from: Copy, at: number): Link {
    const { orig, patched } = this.input;
    for (const name of this.origNames(twin, named)) {
      const found = this.lookUp(orig.name(name), name);
      if (found === undefined && orig.table.isLocal(name)) continue;
      const link = this.linkTo(found, orig.name(name), named, symbol);
      if (link.kind === 'klp') this.references.add(name);
      return link;
    }
    const about = orig.name(twin);
    this.refusals.add(
      this.codeFor(twin),
      about,
      patched.object.name(from.range.section),
      at,
      `${from.name} refers to ${about}, and ${this.untold}`,
    );
    return { kind: 'refused' };
  }

  /**
   * A name that ThinLTO promoted, `wrap.llvm.<hash>`, and that another partition defines: the parent has it under the hash that the
   * unit had in ORIG, and the link may have made it local. Undefined for other names, and for one that nothing in the parent is called.
   */
  private promoted(symbol: SymbolIndex, from: Copy, at: number): Link | undefined {
    const {
      input: { pairing, orig, patched, objectName },
      parent,
    } = this;
    const own = promotedName(patched.name(symbol));
    if (own === undefined) return undefined;
    const name = PromotedNames.of(pairing, orig, patched).originOf(symbol)?.name ?? patched.name(symbol);
    const [entry, ...others] = [...parent.globals(name), ...parent.locals(name)];
    if (entry !== undefined && others.length === 0)
      return this.linkTo(
        { object: objectName, symbol: parent.symbol(entry), exported: false, local: parent.globals(name).length === 0 },
        name,
        symbol,
        0,
      );
    // A static that was not promoted before, or another unit's: to guess would be to call the wrong one.
    const namesakes = parent.underAnyHash(own.base);
    if (namesakes.length === 0) return undefined;
    const message = `${from.name} refers to ${patched.name(symbol)}, and nothing tells which of ${objectName} that is: it has ${namesakes.slice(0, 3).join(', ')}`;
    this.refusals.add('not-in-kernel', patched.name(symbol), patched.object.name(from.range.section), at, message);
    return { kind: 'refused' };
  }

  /** A name that the object does not define. */
  private byName(name: string, named: number, from: Copy, at: number): Link {
    if (CORE_FUNCTIONS.has(name) || this.input.patched.arch.isModulesOwn(name)) return { kind: 'import', name };
    if (this.parent.globals(name).length > 1) {
      this.refusals.add(
        'position-unknown',
        name,
        this.input.patched.object.name(from.range.section),
        at,
        `${from.name} refers to ${name}, of which ${this.input.objectName} has several`,
      );
      return { kind: 'refused' };
    }
    return this.linkTo(this.lookUp(name, 0), name, named, 0);
  }

  private linkTo(found: Found | undefined, name: string, named: number, defined: number): Link {
    const { patched } = this.input;
    if (found === undefined) return { kind: 'import', name };
    // ELFv2: a call to a function of this object skips its TOC setup, which a call into the kernel must not.
    const localEntry =
      defined !== 0 &&
      patched.arch.localEntry(patched.object.symbolOther(defined)) !== 0 &&
      patched.table.value[defined] === 8;
    if (found.exported && found.object === 'vmlinux' && !localEntry) return { kind: 'import', name };
    const target: KlpSymbol = {
      module: found.object,
      name,
      sympos: found.symbol.sympos,
      evidence: found.local ? 'rank by address in the parent' : found.exported ? 'export' : 'global of the parent',
      patchedName: patched.name(named),
      info: patched.table.info[named]!,
    };
    this.found.set(target, { address: found.symbol.address, exported: found.exported });
    return { kind: 'klp', target };
  }

  /** By the parent's locals of the symbol's unit, its globals, the exports, in this order; `symbol` is ORIG's, 0 for none. */
  private lookUp(name: string, symbol: SymbolIndex): Found | undefined {
    const {
      parent,
      input: { orig, objectName },
    } = this;
    if (symbol !== 0 && orig.table.isLocal(symbol)) {
      const block = this.blocks.of(symbol);
      // LTO moves locals between units: where no stretch fits, a name that the parent has once will do.
      const entries = block === undefined ? parent.locals(name) : parent.locals(name, block);
      return entries.length === 1
        ? { object: objectName, symbol: parent.symbol(entries[0]!), exported: false, local: true }
        : undefined;
    }
    const owner = this.exports.ownerOf(name);
    const [global, ...others] = parent.globals(name);
    if (global !== undefined && others.length === 0)
      return { object: objectName, symbol: parent.symbol(global), exported: owner !== undefined, local: false };
    if (owner === undefined && global === undefined) {
      // The link of an LTO kernel makes what nobody else refers to local.
      const [local, ...namesakes] = parent.locals(name);
      return local === undefined || namesakes.length > 0 || symbol === 0
        ? undefined
        : { object: objectName, symbol: parent.symbol(local), exported: false, local: true };
    }
    return owner === undefined || global !== undefined
      ? undefined
      : { object: owner, symbol: { name, address: 0n, size: 0, sympos: 0 }, exported: true, local: false };
  }

  /** The names of a canonical ORIG symbol that the parent may have, the one that PATCHED names first. */
  private origNames(symbol: SymbolIndex, named: number): number[] {
    const { orig, pairing } = this.input;
    const wanted = named === 0 ? 0 : pairing.origin[named]!;
    const section = orig.sectionName(symbol);
    const rank = (name: number): number => (name === wanted ? 0 : section.endsWith(`.${orig.name(name)}`) ? 1 : 2);
    return namesOf(orig.table, symbol)
      .filter((name) => !orig.name(name).startsWith('.L'))
      .sort((a, b) => rank(a) - rank(b) || a - b);
  }
}
