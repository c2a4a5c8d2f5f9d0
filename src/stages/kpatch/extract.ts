/**
 * The livepatch object of create-diff-object: the included functions with everything that they reach, in this dialect's terms.
 */
import type { Diagnostic } from '../../diagnostics';
import { SHF_ALLOC, SHT_PROGBITS, STB_GLOBAL, STB_LOCAL, STT_FILE, type SymbolIndex } from '../../elf';
import { LivepatchObject, NO_FACTS, type KlpFunc, type OutputSection } from '../../livepatch/object';
import type { ParentExports } from '../../livepatch/kpatch/exports';
import { FORCE, MARKERS } from '../../livepatch/kpatch/layout';
import type { KpatchObject } from '../../livepatch/kpatch/object';
import type { ParentSymbols } from '../../livepatch/kpatch/parent-symbols';
import { Role, type KernelSection } from '../../kernel/sections';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { replacements } from '../assess/types';
import { namesOf } from '../correlate';
import type { Clones } from '../extract/clones';
import { copyReached } from '../extract/copy';
import { bodyName, type CopyRules } from '../extract/copy-rules';
import { Refusals } from '../extract/refusals';
import { referencesIn } from '../extract/resolve';
import { klpSymbolsOf } from '../extract/klp-symbols';
import type { CopyInput, KlpSymbolReport } from '../extract/types';
import { Trait } from '../scan';
import type { KpatchPlan } from './plan';
import { copyDebugSections } from './debug-sections';
import { ownName, type ReportedFunction } from './judge';
import { KpatchLinks } from './linkage';
import { recordSites } from './recorded-sites';

export interface KpatchInput extends CopyInput, KpatchPlan {
  parent: ParentSymbols;
  exports: ParentExports;
  /** The kernel applies `.klp.arch` sections, and no klp relocations of jump labels. */
  klpArch: boolean;
}

export interface KpatchExtraction {
  kpatch: KpatchObject;
  klpSymbols: KlpSymbolReport[];
  /** ORIG's symbols of the functions that are replaced, and of what klp relocations reach. */
  replaced: number[];
  references: number[];
  diagnostics: Diagnostic[];
}

export function extractKpatch(input: KpatchInput): KpatchExtraction {
  const { patched, objectName, markers, klpArch } = input;
  // What follows the differ's output has the kernel's build at hand.
  const object = new LivepatchObject(objectName, patched.object.machine, NO_FACTS, { orig: '', patched: '' });
  const refusals = new Refusals(objectName);
  const links = new KpatchLinks(input, input.parent, input.exports, refusals);
  nameUnits(input, object);
  const callbacks: OutputSection[] = [];
  const clones = copyReached(input, object, new KpatchRules(input), links, refusals, (copies) => {
    for (const symbol of input.newGlobals) copies.object(symbol);
    for (const { section } of markers.callbacks)
      callbacks.push(
        copies.extent({ section, start: 0, end: patched.object.size(section) }).symbol.section as OutputSection,
      );
  });
  markForced(input, clones, object);
  const { functions, replaced } = patchedFunctions(input, clones, object, links);
  const { sites, patchable } = recordSites(input, clones);
  refuseSiblingCalls(input, refusals);
  refuseLateEntries(input, object, refusals);
  const debug = input.debug ? copyDebugSections(patched, clones, object) : [];
  const { little, flags } = patched.object;
  return {
    kpatch: {
      object,
      little,
      flags,
      functions,
      symbols: links.found,
      sites,
      patchable,
      callbacks,
      klpArch,
      namespaces: markers.namespaces,
      debug,
    },
    klpSymbols: klpSymbolsOf(object),
    replaced,
    references: [...links.references],
    diagnostics: refusals.diagnostics,
  };
}

/** Names of copies: the running kernel's. Who replaces a function must not be linked to by others, so it becomes local. */
class KpatchRules implements CopyRules {
  readonly jumpLabels: boolean;
  readonly listsSites = false;
  private readonly reported: ReadonlyMap<number, ReportedFunction>;

  constructor(private readonly input: KpatchInput) {
    this.jumpLabels = !input.klpArch;
    this.reported = new Map(input.reported.map((entry) => [entry.symbol, entry]));
  }

  namesOf(patched: Side, symbol: SymbolIndex): ReturnType<CopyRules['namesOf']> {
    const { pairing, orig } = this.input;
    const reported = this.reported.get(symbol);
    const own = reported?.named ?? (patched.table.has(symbol, Trait.FUNC) ? ownName(patched, symbol) : symbol);
    const twin = pairing.origin[own]!;
    const body = bodyName(patched, own);
    const first = {
      ...body,
      name: reported?.name ?? (twin === 0 ? body.name : orig.name(twin)),
      info: reported !== undefined && reported.origin !== 0 ? (body.info & 0xf) | (STB_LOCAL << 4) : body.info,
    };
    // Another name of the body is defined only where the kernel does not have it and somebody may look for it.
    const others = namesOf(patched.table, symbol).filter(
      (name) => name !== own && pairing.origin[name] === 0 && patched.table.bindOf(name) === STB_GLOBAL,
    );
    return [first, ...others.map((name) => bodyName(patched, name))];
  }

  /** A section that is called after its function keeps that name where the function gets the kernel's. */
  sectionName(patched: Side, symbol: SymbolIndex): string | undefined {
    const reported = this.reported.get(symbol);
    const section = patched.sectionName(symbol);
    const own = reported === undefined ? '' : patched.name(reported.named);
    return reported !== undefined && own !== reported.name && section.endsWith(`.${own}`)
      ? section.slice(0, -own.length) + reported.name
      : undefined;
  }

  /** Ftrace sites are written with the functions (`recordSites`), and objtool is done with what only it reads. */
  keepsTable({ role, addresses }: KernelSection): boolean {
    return role !== Role.FTRACE_SITES && addresses?.use !== 'build';
  }
}

/** FILE symbols of the units that included functions are from. */
function nameUnits({ patched, included }: KpatchInput, object: LivepatchObject): void {
  const units = new Set(included.map(({ symbol }) => patched.table.file[symbol]!).filter((file) => file !== 0));
  for (const file of [...units].sort((a, b) => a - b))
    object.define({ name: patched.name(file), info: STT_FILE, section: 'absolute', value: 0, size: 0 });
}

/** Pointers to functions that may be replaced while they run: only those that are replaced matter. */
function markForced({ patched, markers }: KpatchInput, clones: Clones, object: LivepatchObject): void {
  for (const symbol of markers.forced) {
    const clone = clones.of(symbol);
    if (clone === undefined) continue;
    const section = object.section({ name: FORCE, type: SHT_PROGBITS, flags: SHF_ALLOC, entsize: 0 });
    section.relas.push({ offset: section.append(8, 8), type: patched.arch.address64, symbol: clone, addend: 0 });
  }
}

/** One record for each function that takes another's place. */
function patchedFunctions(
  { included, orig }: KpatchInput,
  clones: Clones,
  object: LivepatchObject,
  links: KpatchLinks,
): { functions: KpatchObject['functions']; replaced: number[] } {
  const functions = new Map<KlpFunc, { address: bigint; size: number }>();
  const replaced: number[] = [];
  for (const { symbol, origin } of included.flatMap(replacements)) {
    const found = origin === 0 ? undefined : links.replaced(origin);
    if (found === undefined) continue;
    const {
      name,
      symbol: { address, size, sympos },
    } = found;
    const func = { oldName: orig.name(name), sympos, evidence: 'the parent', replacement: clones.of(symbol)! };
    object.funcs.push(func);
    functions.set(func, { address, size });
    replaced.push(name);
  }
  return { functions, replaced };
}

/** A jump to another module's function leaves this one's TOC pointer behind (ppc64). */
function refuseSiblingCalls({ patched, included }: KpatchInput, refusals: Refusals): void {
  for (const { symbol, origin } of included) {
    if (origin === 0) continue;
    const range = patched.rangeOf(symbol);
    const content = patched.object.content(range.section);
    for (const { field } of referencesIn(patched, range)) {
      if (!patched.arch.isSiblingCall(content, field)) continue;
      const at = field - range.start;
      refusals.add(
        'sibling-call',
        `${patched.name(symbol)}+${at}`,
        patched.object.name(range.section),
        at,
        `${patched.name(symbol)} ends in a jump to another function at +0x${at.toString(16)}`,
      );
    }
  }
}

/** Before the patched module is loaded its symbols have no addresses, and the kernel reads these entries at once. */
function refuseLateEntries(
  { patched, objectName, klpArch }: KpatchInput,
  object: LivepatchObject,
  refusals: Refusals,
): void {
  if (objectName === 'vmlinux' || klpArch) return;
  const special = new Set<string>();
  for (let section = 1; section < patched.table.sections; section++)
    if (patched.table.sectionClass[section]! & SectionClass.SPECIAL) special.add(patched.object.name(section));
  for (const { section, offset, target } of object.klpRelas) {
    if (special.has(section.name))
      refusals.add(
        'special-klp-reference',
        target.name,
        section.name,
        offset,
        `an entry of ${section.name} refers to ${target.name}, which only the livepatch core can find`,
      );
  }
}

/** New global variables, which are copied even if nothing of this object refers to them; not those that macros left for the differ. */
export function newGlobalsOf(patched: Side, unpaired: readonly number[]): number[] {
  const { table } = patched;
  return unpaired.filter(
    (symbol) =>
      table.has(symbol, Trait.OBJECT) &&
      table.canonical[symbol] === symbol &&
      table.bindOf(symbol) === STB_GLOBAL &&
      table.section[symbol]! < table.sections &&
      (table.sectionClass[table.section[symbol]!]! & (SectionClass.DERIVED | SectionClass.SPECIAL)) === 0 &&
      !MARKERS.some((marker) => patched.name(symbol).startsWith(marker)),
  );
}
