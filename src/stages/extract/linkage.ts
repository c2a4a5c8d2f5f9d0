import { STB_GLOBAL, STT_OBJECT, type SymbolIndex } from '../../elf';
import type { KlpSymbol } from '../../livepatch/object';
import { SectionClass } from '../../kernel/section-class';
import { PromotedNames, promotedName } from '../compare';
import type { Side } from '../side/side';
import { namesOf, originOf } from '../correlate';
import { Kind, Trait } from '../scan';
import type { Refusals } from './refusals';
import type { Copy } from './clones';
import { Exports, exportLink } from './exports';
import { isIndirectTarget, takesAddress } from './function-address';
import type { ExtractInput } from './types';
import type { Link, Use, Links } from './link';

/** A symbol's link, made when it is first asked for. */
export function remembered(links: Map<number, Link>, symbol: SymbolIndex, make: () => Link): Link {
  let link = links.get(symbol);
  if (link === undefined) links.set(symbol, (link = make()));
  return link;
}

/** Decides how references leave the livepatch. Each symbol is decided once. */
export class Linkage implements Links {
  /** ORIG's symbols that klp relocations reach. */
  readonly references = new Set<number>();
  private readonly links = new Map<number, Link>();
  private readonly pointers = new Map<number, Link>();
  /** Included functions, with the bodies of ORIG whose place they take. */
  private readonly included: ReadonlyMap<SymbolIndex, readonly number[]>;
  private readonly exports: Exports;
  private globals: Map<string, number> | undefined;

  constructor(
    private readonly input: ExtractInput,
    private readonly refusals: Refusals,
  ) {
    this.included = new Map(
      input.included.map(({ symbol, origin, further = [] }) => [symbol, origin === 0 ? [] : [origin, ...further]]),
    );
    this.exports = new Exports(input);
  }

  /** How PATCHED's canonical `symbol` is reached under one of its names; `from` and `at` say who asks first. */
  of(symbol: SymbolIndex, named: number, from: Copy, at: number, use?: Use): Link {
    const { orig, patched } = this.input;
    const replaced = this.included.get(symbol) ?? [];
    if (
      replaced.length > 0 &&
      use !== undefined &&
      takesAddress(patched, symbol, use, from, at) &&
      isIndirectTarget(orig, replaced[0]!, patched, symbol)
    ) {
      return remembered(this.pointers, named, () =>
        this.klpLink(
          replaced.flatMap((body) => namesOf(orig.table, body)),
          named,
          from,
          at,
        ),
      );
    }
    return remembered(this.links, named, () => this.decide(symbol, named, from, at));
  }

  private decide(symbol: SymbolIndex, named: number, from: Copy, at: number): Link {
    const { pairing, patched, undecided } = this.input;
    const { table } = patched;
    if (this.included.has(symbol))
      return table.size[symbol]! > 0
        ? { kind: 'clone' }
        : this.refuse(symbol, from, at, 'which has no size: nothing tells what to copy');
    if (table.kind[symbol] === Kind.UNDEFINED) return this.undefinedLink(symbol, from, at);
    if (undecided.has(symbol)) return { kind: 'refused' };
    if (this.input.copied.has(symbol)) return { kind: 'clone' };
    const bits = table.sectionClass[table.section[symbol]!]!;
    const own =
      table.kind[symbol] === Kind.CONTENT || table.kind[symbol] === Kind.PRIVATE || (bits & SectionClass.RECORD) !== 0;
    if (own && !table.has(symbol, Trait.FUNC)) return { kind: 'clone' };
    // What the build fills in after linking (`.BTF_ids`), or drops.
    if ((bits & SectionClass.DERIVED) !== 0)
      return this.refuse(symbol, from, at, 'which has its content in the running kernel only');
    const twin = originOf(pairing, symbol);
    if (twin !== 0) return this.existingLink(symbol, named, twin, from, at);
    if (table.has(symbol, Trait.OBJECT)) return { kind: 'clone' };
    return this.labelLink(symbol, from, at);
  }

  /** A function or variable that ORIG has, too. A local is never an export, whatever its name (`user_read` is both). */
  private existingLink(symbol: SymbolIndex, named: number, twin: SymbolIndex, from: Copy, at: number): Link {
    const { orig, patched } = this.input;
    for (const name of [named, ...namesOf(patched.table, symbol)]) {
      const link = this.exports.own(name);
      if (link !== undefined) return link;
    }
    // Told by assess: init and exit code is gone from the running kernel.
    if (orig.table.has(twin, this.input.objectName === 'vmlinux' ? Trait.INIT | Trait.EXIT : Trait.INIT))
      return { kind: 'refused' };
    return this.klpLink(namesOf(orig.table, twin), named, from, at, isText(patched, symbol));
  }

  /** Code without a size that only its name tells: assembler labels. A global one of the same name is the same. */
  private labelLink(symbol: SymbolIndex, from: Copy, at: number): Link {
    const { orig, patched } = this.input;
    const { table } = patched;
    const name = patched.name(symbol);
    if (!table.isLocal(symbol)) {
      const link = this.exports.own(symbol);
      if (link !== undefined) return link;
      const namesake = orig.table.symbols > 0 ? this.globalNamed(name, symbol) : 0;
      if (namesake !== 0) return this.klpLink([namesake], symbol, from, at);
    }
    return this.refuse(symbol, from, at, 'which has no counterpart in ORIG and cannot be copied');
  }

  private refuse(symbol: SymbolIndex, from: Copy, at: number, why: string): Link {
    const { patched } = this.input;
    const about = patched.name(symbol) || patched.sectionName(symbol);
    this.refusals.add(
      'unresolved-reference',
      about,
      patched.object.name(from.range.section),
      at,
      `${from.name} refers to ${about}, ${why}`,
    );
    return { kind: 'refused' };
  }

  /**
   * A name that the object itself does not define. In vmlinux the linker script does (`__start___ex_table`, `kallsyms_names`): few of
   * these are exported, and a reference to `__start_X` by name would bind to the module's own section X.
   */
  private undefinedLink(symbol: SymbolIndex, from: Copy, at: number): Link {
    const { pairing, orig, patched, objectName } = this.input;
    const name = patched.name(symbol);
    const bounds = /^__(start|stop)_/.test(name);
    // Before all exports: a module's own global of a name is what its units mean. THIS_MODULE is one, too.
    const own = objectName === 'vmlinux' ? undefined : this.ofAnotherUnit(name, symbol);
    if (own !== undefined) return own;
    const exported = bounds ? undefined : this.input.symvers.get(name);
    if (exported !== undefined)
      return this.exports.dependsOn(exported.owner)
        ? exportLink(exported, name, patched.table.info[symbol]!)
        : this.refuseDependency(exported.owner, name, from, at);
    if (!bounds && !this.input.symvers.known) return { kind: 'import', name };
    // A name that ThinLTO promoted is another partition's of the same object, and the running kernel has it under ORIG's hash.
    const promoted = promotedName(name) !== undefined;
    const namesake =
      this.globalNamed(name, symbol) ||
      (promoted ? (PromotedNames.of(pairing, orig, patched).originOf(symbol)?.symbol ?? 0) : 0);
    if ((objectName === 'vmlinux' || promoted) && namesake !== 0) return this.klpLink([namesake], symbol, from, at);
    const other = objectName === 'vmlinux' ? this.ofAnotherUnit(name, symbol) : undefined;
    if (other !== undefined) return other;
    // A module's patched object may use what the livepatch's other objects define; who links them together sees.
    if (objectName !== 'vmlinux' && !bounds) return { kind: 'import', name };
    return this.refuse(symbol, from, at, 'which neither object defines and nothing exports');
  }

  /** What ORIG, one unit of its object, does not define and the object that runs does. */
  private ofAnotherUnit(name: string, symbol: SymbolIndex): Link | undefined {
    const { objectName, patched, positions } = this.input;
    const position = positions.positionOfGlobal?.(name);
    if (position === undefined) return undefined;
    const { sympos, evidence } = position;
    const info = patched.table.info[symbol]!;
    return { kind: 'klp', target: { module: objectName, name, sympos, evidence, patchedName: name, info } };
  }

  private refuseDependency(owner: string, name: string, from: Copy, at: number): Link {
    const { patched, objectName } = this.input;
    this.refusals.add(
      'undeclared-dependency',
      name,
      patched.object.name(from.range.section),
      at,
      `${from.name} refers to ${name} of module ${owner}, and ${objectName} of ORIG uses nothing of that module`,
    );
    return { kind: 'refused' };
  }

  original(name: number, named: number): KlpSymbol | undefined {
    const { patched, objectName, positions } = this.input;
    const position = positions.positionOf(name);
    if (!('sympos' in position)) return undefined;
    this.references.add(name);
    return {
      module: objectName,
      name: position.name,
      sympos: position.sympos,
      evidence: position.evidence,
      patchedName: patched.name(named),
      info: patched.table.info[named]!,
    };
  }

  variable(name: string): ReturnType<Links['variable']> {
    const info = (STB_GLOBAL << 4) | STT_OBJECT;
    const exported = this.input.symvers.get(name);
    if (exported?.owner === 'vmlinux') return exportLink(exported, name, info);
    const position = this.input.positions.positionNamed?.(name);
    if (position === undefined || !('sympos' in position)) return undefined;
    const { sympos, evidence } = position;
    return { kind: 'klp', target: { module: 'vmlinux', name, sympos, evidence, patchedName: name, info } };
  }

  /** One of several names of a thing in ORIG, by the first whose position is known; without any a copy where one does as well. */
  private klpLink(names: readonly number[], symbol: SymbolIndex, from: Copy, at: number, copyable = false): Link {
    const { orig, patched, positions } = this.input;
    const patchedName = patched.name(symbol);
    const ordered = [...names].sort(
      (a, b) => Number(orig.name(b) === patchedName) - Number(orig.name(a) === patchedName) || a - b,
    );
    let why: { code: 'position-unknown' | 'not-in-kernel'; message: string } | undefined;
    for (const name of ordered) {
      const text = orig.name(name);
      if (text === '' || text.startsWith('.L')) continue;
      const position = positions.positionOf(name);
      if ('sympos' in position) {
        return { kind: 'klp', target: this.original(name, symbol)! };
      }
      why ??= { code: position.code, message: position.refused };
    }
    if (copyable) return { kind: 'clone' };
    const about = orig.name(ordered[0]!);
    this.refusals.add(
      why?.code ?? 'position-unknown',
      about,
      patched.object.name(from.range.section),
      at,
      `${from.name} refers to ${about}: ${why?.message ?? 'it has no name that the kernel lists'}`,
    );
    return { kind: 'refused' };
  }

  /** ORIG's global or undefined symbol of this name and sort, 0 if there is none. One pass over the symbol table, when first needed. */
  private globalNamed(name: string, symbol: SymbolIndex): number {
    const { orig, patched } = this.input;
    if (this.globals === undefined) {
      this.globals = new Map();
      const { table } = orig;
      for (let other = 1; other < table.symbols; other++) {
        // Sized ones are paired; what is left are labels and undefined names, a few hundred.
        if (!table.isLocal(other) && (table.size[other] === 0 || table.kind[other] === Kind.UNDEFINED))
          this.globals.set(orig.name(other), other);
      }
    }
    const found = this.globals.get(name) ?? 0;
    return found !== 0 &&
      (orig.table.kind[found] === Kind.UNDEFINED) === (patched.table.kind[symbol] === Kind.UNDEFINED)
      ? found
      : 0;
  }
}

/**
 * Whether a symbol is a static text, which is as good as the running kernel's own: ACPI has 107 `_acpi_module_name`, netlink 62 `__msg.0`
 * in a 6.12 kernel, more than a list of names can tell apart.
 */
function isText(side: Side, symbol: SymbolIndex): boolean {
  const { table } = side;
  if (!table.isLocal(symbol) || !table.has(symbol, Trait.OBJECT)) return false;
  if (
    (table.sectionClass[table.section[symbol]!]! & SectionClass.READONLY) === 0 ||
    !side.relasIn(side.rangeOf(symbol)).next().done
  )
    return false;
  const bytes = side.bytes(symbol);
  return (
    bytes.indexOf(0) === bytes.length - 1 &&
    bytes.length > 1 &&
    bytes.every((byte, i) => byte >= 0x20 || byte === 0x0a || byte === 0x09 || i === bytes.length - 1)
  );
}
