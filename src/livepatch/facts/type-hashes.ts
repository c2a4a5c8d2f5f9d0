import { RELA_WORDS, type ElfObject } from '../../elf';
import { wordAt } from '../../arch';
import { COMPUTED, preambleAt, preambleHash, typeChecks, type EntryHashes } from '../../kernel/kcfi';
import type { PlatformFacts } from '../object';
import { commonest, sample } from './sampling';
import { place, type Sections } from './sections';
import { readSymbols, targetOf, type SymbolRange, type Symbols, type TypedName } from './symbols';

/** `mov $hash, %eax`. */
const MOVL_EAX = 0xb8;
const TYPES = ['init', 'exit'] as const;
const CALLERS = { init: 'callsInit', exit: 'callsExit' } as const satisfies Record<string, TypedName>;

/**
 * The kCFI hashes of `int (void)` and `void (void)`, by all that ORIG shows of them: functions that certainly have the type (a module's own two,
 * initcalls, exit calls), what the callers of such functions look for, and what the compiler computes, where other functions of ORIG have that. A
 * ThinLTO kernel has no functions of the first kind: its initcalls are stubs without a preamble, and exit calls of built-in code are dropped.
 */
export function typeHashes(object: ElfObject, symbols: Symbols, tables: Sections): PlatformFacts['kcfi'] {
  if (symbols.preambles.size === 0 && !tables.has('.cfi_sites')) return null;
  return hashesShown(object, symbols, tables);
}

/** The same of an object that has hashes; null where there are none. `tables` list initcalls and exit calls. */
export function hashesShown(object: ElfObject, symbols: Symbols, tables: Sections | undefined): PlatformFacts['kcfi'] {
  if (symbols.preambles.size === 0 && tables === undefined) return null;
  const computed = computedHashes(object, symbols);
  const hashes: Partial<EntryHashes> = {};
  for (const type of TYPES) {
    const owned = donors(object, symbols, tables, type);
    const [donor] = owned;
    const checks = new Set(
      symbols.typed[CALLERS[type]].flatMap((range) =>
        typeChecks(object.machine, codeOf(object, range)).map((check) => check.hash),
      ),
    );
    const hash = donor ?? computed?.[type] ?? (checks.size === 1 ? [...checks][0] : undefined);
    if (hash === undefined) return 'no-donor';
    // A caller may have other indirect calls besides.
    if (owned.size > 1 || (computed !== undefined && computed[type] !== hash) || (checks.size > 0 && !checks.has(hash)))
      return 'disagreement';
    hashes[type] = hash;
  }
  const at =
    commonest(Array.from(sample([...symbols.preambles.values()]), (range) => startIn(object, range) ?? 0)) ?? 0;
  return { ...(hashes as EntryHashes), ...(at === 0 ? {} : { at }) };
}

/** Whether preambles say how many arguments bodies read: then their registers differ. */
export function hasArity(object: ElfObject): boolean {
  return [...readSymbols(object).preambles.values()].some((range) => {
    const at = startIn(object, range);
    return at !== undefined && codeOf(object, range)[at] !== MOVL_EAX;
  });
}

/** Hashes of functions that have the type. */
function donors(
  object: ElfObject,
  symbols: Symbols,
  tables: Sections | undefined,
  type: (typeof TYPES)[number],
): Set<number> {
  const found = new Set<number>();
  const add = (start: number | undefined): void => {
    const preamble = start === undefined ? undefined : symbols.preambles.get(start);
    const hash = preamble === undefined ? undefined : hashIn(object, preamble);
    if (hash !== undefined) found.add(hash);
  };
  for (const { section, value } of symbols.typed[type]) add(place(section, value));
  if (tables === undefined) return found;
  const listed = tables.named((name) => (type === 'init' ? name.startsWith('.initcall') : name === '.exitcall.exit'));
  for (const section of listed) {
    const relas = tables.relas(section);
    for (let at = 0; at < relas.length; at += RELA_WORDS) add(targetOf(object, relas, at));
  }
  return found;
}

/** What the compiler computes for both types, in the one of its two ways that functions of ORIG show. */
function computedHashes(object: ElfObject, symbols: Symbols): EntryHashes | undefined {
  const seen = new Set<number>();
  for (const preamble of symbols.preambles.values()) seen.add(hashIn(object, preamble) ?? 0);
  const shown = Object.values(COMPUTED).filter(({ init, exit }) => seen.has(init) || seen.has(exit));
  return shown.length === 1 ? shown[0] : undefined;
}

/** The hash of a preamble: an instruction's, or a word by itself. */
function hashIn(object: ElfObject, preamble: SymbolRange): number | undefined {
  const bytes = codeOf(object, preamble);
  if (preamble.size === 4) return wordAt(bytes, 0);
  const at = startIn(object, preamble);
  return at === undefined ? undefined : preambleHash(bytes, at);
}

/** Where in a preamble its instruction begins. */
function startIn(object: ElfObject, preamble: SymbolRange): number | undefined {
  return preambleAt(codeOf(object, preamble), 0, preamble.size);
}

function codeOf(object: ElfObject, { section, value, size }: SymbolRange): Uint8Array {
  return object.content(section).subarray(value, value + size);
}
