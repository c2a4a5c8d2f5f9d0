import type { SectionIndex, SymbolIndex } from '../../elf';
import type { Access } from '../../arch';
import { diagnostic, type Diagnostic, type DiagnosticCode } from '../../diagnostics';
import { SectionClass } from '../../kernel/section-class';
import { RUNTIME_SPECIAL } from '../../kernel/special-sections';
import { entriesOf } from '../compare/entries';
import { originOf } from '../correlate';
import { runtimeSite, type FunctionEntry } from '../runtime-loads';
import { Kind, Trait } from '../scan';
import type { Range } from '../side/range';
import { Prefixes } from '../side/prefixes';
import type { Pieces } from './pieces';
import { misplaced } from './placement';
import { entryReferences, referencesFrom, replacementReferences, type Mention } from './references';
import type { AssessInput } from './types';

/** Something that goes into the livepatch: a symbol's bytes, or an extent of anonymous data. */
interface Included {
  /** 0 for anonymous data. */
  symbol: SymbolIndex;
  section: SectionIndex;
  start: number;
  end: number;
  name: string;
}

/** What is known of the pair before. */
interface Known {
  pieces: Pieces;
  /** PATCHED's symbols that nothing pairs. */
  undecided: ReadonlySet<number>;
  copied: ReadonlySet<number>;
  /** Traits of what is gone. */
  discarded: number;
  /** Variables that go in whether something reaches them or not. */
  brought: readonly SymbolIndex[];
}

/**
 * Follows what included code reaches, through new data, and refuses what would not work in a module.
 *
 * Every problem is reported once, at the first reference that meets it. `included` gets functions whose address is taken and that have another
 * type in the running kernel, or none.
 *
 * @returns the symbols that go in
 */
export function checkReach(
  input: AssessInput,
  included: Set<SymbolIndex>,
  { pieces, undecided, copied, discarded, brought }: Known,
  diagnostics: Diagnostic[],
): ReadonlySet<number> {
  const { pairing, patched, objectName } = input;
  const { table } = patched;
  const told = new Set<string>();
  const refuse: Refuse = (code, from, at, about, message) => {
    if (told.has(`${code}:${about}`)) return;
    told.add(`${code}:${about}`);
    diagnostics.push(
      diagnostic(code, message, {
        object: objectName,
        section: patched.object.name(from.section),
        symbol: about,
        offset: at,
      }),
    );
  };
  const symbolRange = (symbol: SymbolIndex): Included => {
    const start = table.value[symbol]!;
    return {
      symbol,
      section: table.section[symbol]!,
      start,
      end: start + table.size[symbol]!,
      name: patched.name(symbol),
    };
  };

  const queue = [...included, ...brought].map(symbolRange);
  const seen = new Set([...included, ...brought]);
  const seenExtents = new Set<string>();
  // Grows while it is gone through.
  for (const from of queue) {
    const entries = from.symbol !== 0 && !table.has(from.symbol, Trait.OBJECT) ? entriesOf(patched, from.symbol) : [];
    // What may be meant comes along, too.
    const widened = (list: readonly Mention[]): Mention[] =>
      list.flatMap((reference) => [reference, ...reference.others.map((symbol) => ({ ...reference, symbol }))]);
    const own = new Set(widened(referencesFrom(patched, from.section, from.start, from.end)));
    const references = [
      ...own,
      ...widened(
        entries.flatMap((entry) => [
          ...entryReferences(patched, entry.table, entry),
          ...replacementReferences(patched, entry.table, entry),
        ]),
      ),
    ];
    for (const reference of references) {
      const { symbol, at } = reference;
      if (symbol === 0) {
        const extent = anonymousExtent(input, reference, discarded, from, refuse);
        // By number: many sections share a name.
        const key = extent === undefined ? '' : `${extent.section}:${extent.start}`;
        if (extent !== undefined && !seenExtents.has(key)) {
          seenExtents.add(key);
          queue.push(extent);
        }
        continue;
      }
      if (seen.has(symbol)) continue;
      if (undecided.has(symbol)) {
        const code = table.has(symbol, Trait.OBJECT) ? 'ambiguous-data' : 'ambiguous-twin';
        refuse(
          code,
          from,
          at,
          patched.name(symbol),
          `${from.name} refers to ${patched.name(symbol)}, and nothing tells which one of ORIG that is`,
        );
        continue;
      }
      const twin = copied.has(symbol) ? 0 : originOf(pairing, symbol);
      if (twin !== 0 && needsOwnType(input, reference, twin)) {
        const name = patched.name(symbol);
        diagnostics.push(
          diagnostic(
            'address-taken',
            `${from.name} takes the address of ${name}, before which the running kernel has ${Prefixes.of(input.orig).typeHash(twin) === undefined ? 'no type' : 'another type'} (kCFI): the livepatch brings a copy`,
            { object: objectName, section: patched.sectionName(symbol), symbol: name },
          ),
        );
        for (const body of [symbol, ...pieces.of(symbol)]) {
          included.add(body);
          seen.add(body);
          queue.push(symbolRange(body));
        }
      }
      if (twin !== 0) {
        checkExisting(input, from, reference, twin, discarded, refuse);
        const wrong = misplaced(
          input.orig,
          patched,
          twin,
          symbol,
          () => accessOf(patched, from, own.has(reference) ? at : -1),
          () => writes(input.orig, originOf(pairing, from.symbol), twin),
        );
        if (wrong !== undefined)
          refuse(wrong.code, from, at, input.orig.name(twin), `${from.name} refers to ${wrong.message}`);
      } else if (isNewData(table.kind[symbol]!, table.traits[symbol]!)) {
        seen.add(symbol);
        if (table.has(symbol, discarded))
          refuse(
            'init-change',
            from,
            at,
            patched.name(symbol),
            `${from.name} refers to ${patched.name(symbol)} in ${patched.sectionName(symbol)}, which is gone once the livepatch is loaded`,
          );
        queue.push(symbolRange(symbol));
      }
    }
    for (const entry of entries)
      if (entry.table.special === RUNTIME_SPECIAL) checkRuntimeConstant(input, from, entry, entries, refuse);
  }
  return seen;
}

/**
 * Whether a function's address may not be that of ORIG's function: nothing there had it, so that compilers gave it no type to look for (kCFI), and of all its
 * bytes not one need have changed. Where prefixes hold types, what is before the function's first instruction changes with them.
 */
function needsOwnType({ orig, patched }: AssessInput, { symbol, branch, inside }: Mention, twin: SymbolIndex): boolean {
  if (branch || inside !== 0 || patched.arch.namelessHash === 0 || !patched.table.has(symbol, Trait.FUNC)) return false;
  const type = Prefixes.of(patched).typeHash(symbol);
  return type !== undefined && type !== Prefixes.of(orig).typeHash(twin);
}

/** The extent of anonymous read-only data that a reference reaches; undefined where there is nothing to follow. */
function anonymousExtent(
  { patched }: AssessInput,
  { section, offset, at }: Mention,
  discarded: number,
  from: Included,
  refuse: Refuse,
): Included | undefined {
  const { table, object } = patched;
  if (section === 0 || section >= table.sections) return undefined;
  const bits = table.sectionClass[section]!;
  if ((bits & discardedClass(discarded)) !== 0) {
    refuse(
      'init-change',
      from,
      at,
      object.name(section),
      `${from.name} refers to ${object.name(section)}, which is gone from the running kernel`,
    );
    return undefined;
  }
  if (
    (bits & (SectionClass.READONLY | SectionClass.ANONYMOUS)) === 0 ||
    (bits & (SectionClass.STRING | SectionClass.CONSTANT | SectionClass.DERIVED)) !== 0 ||
    table.relaSection[section] === 0
  )
    return undefined;
  const extent = patched.extents.at(section, offset);
  return { symbol: 0, ...extent, name: `${object.name(section)}+${extent.start}` };
}

type Refuse = (code: DiagnosticCode, from: Included, at: number, about: string, message: string) => void;

function checkExisting(
  { orig, patched }: AssessInput,
  from: Included,
  { at, branch }: Mention,
  twin: SymbolIndex,
  discarded: number,
  refuse: Refuse,
): void {
  const about = orig.name(twin);
  const gone = from.symbol !== 0 && patched.table.has(from.symbol, discarded);
  if (orig.table.has(twin, discarded) && !gone) {
    refuse(
      'init-change',
      from,
      at,
      about,
      `${from.name} refers to ${about} in ${orig.sectionName(twin)}, which is gone from the running kernel`,
    );
  }
  // Direct calls need no ENDBR; an address that is kept will be called indirectly.
  if (!branch && orig.table.has(twin, Trait.SEALED)) {
    refuse(
      'sealed-endbr',
      from,
      at,
      about,
      `${from.name} takes the address of ${about}, whose ENDBR the running kernel removed at boot`,
    );
  }
}

/** Whether a function writes to a variable by its name. */
function writes(side: AssessInput['orig'], user: number, variable: number): boolean {
  if (user === 0) return false;
  const range = side.rangeOf(user);
  return referencesFrom(side, range.section, range.start, range.end).some(
    ({ symbol, at }) => symbol === variable && accessOf(side, range, at) === 'write',
  );
}

/** What the field at `at` of what goes in does with what it names; -1: a table entry's. Data keeps its address. */
function accessOf(
  { table, object, disassembler }: AssessInput['patched'],
  { section, start, end }: Range,
  at: number,
): Access {
  if (at < 0 || (table.sectionClass[section]! & SectionClass.EXEC) === 0) return 'address';
  return disassembler.access(object.content(section).subarray(start, end), at);
}

/** Data that has to come along: it exists in PATCHED only, or is private to each build. */
function isNewData(kind: number, traits: number): boolean {
  return (
    (traits & Trait.OBJECT) !== 0 &&
    (kind === Kind.NAMED || kind === Kind.CONTENT || kind === Kind.PRIVATE || kind === Kind.PLACE) &&
    (traits & Trait.CONTENT) !== 0
  );
}

function discardedClass(discarded: number): number {
  return (discarded & Trait.INIT ? SectionClass.INIT : 0) | (discarded & Trait.EXIT ? SectionClass.EXIT : 0);
}

/** Constants that boot code fills in: some can be read from their variable instead, others cannot, and of a kind that nobody knows nothing is known. */
function checkRuntimeConstant(
  { patched }: AssessInput,
  from: Included,
  entry: FunctionEntry,
  entries: readonly FunctionEntry[],
  refuse: Refuse,
): void {
  const {
    constant: { kind, variable },
    load,
  } = runtimeSite(patched, from.symbol, entry, entries);
  if (load !== undefined) return;
  const { name } = from;
  const table = patched.object.name(entry.table.section);
  const why =
    kind === 'shift'
      ? `shifts by ${variable}, a count`
      : kind === 'ptr' || kind === 'mask'
        ? `holds ${variable} in an instruction that cannot be turned into a load, a constant`
        : `has an entry in ${table}, a table of constants`;
  refuse('runtime-constant', from, entry.site, name, `${name} ${why} that the kernel writes into its own code at boot`);
}
