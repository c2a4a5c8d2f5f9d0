import type { KlpSymbol, LivepatchObject, PlatformFacts, Provenance } from '../object';

/**
 * What the ELF form of a livepatch object cannot say: facts about its kernel, where it comes from, how each position was
 * proven. JSON, in a section of its own.
 */
export interface RecordedFacts {
  schema: typeof SCHEMA;
  name: string;
  facts: PlatformFacts;
  provenance: Provenance;
  klpSymbols: KlpSymbol[];
  /** Evidence of each function's position, in the order of the functions. */
  funcs: string[];
}

const SCHEMA = 'klpflow/object@1';

export function encodeFacts(object: LivepatchObject): Uint8Array {
  const recorded: RecordedFacts = {
    schema: SCHEMA,
    name: object.name,
    facts: object.facts,
    provenance: object.provenance,
    klpSymbols: [...new Set(object.klpRelas.map(({ target }) => target))],
    funcs: object.funcs.map(({ evidence }) => evidence),
  };
  return new TextEncoder().encode(JSON.stringify(recorded));
}

/** @returns undefined for anything but what `encodeFacts` writes */
export function decodeFacts(bytes: Uint8Array): RecordedFacts | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return RECORDED(value) ? (value as RecordedFacts) : undefined;
  } catch {
    return undefined;
  }
}

type Check = (value: unknown) => boolean;

/** Every field of a type has its check: a field that is added to the type must be added here. */
function record<T>(checks: { [K in keyof T]-?: Check }): Check {
  const entries = Object.entries<Check>(checks);
  return (value) =>
    typeof value === 'object' &&
    value !== null &&
    entries.every(([key, check]) => check((value as Record<string, unknown>)[key]));
}

const text: Check = (value) => typeof value === 'string';
const flag: Check = (value) => typeof value === 'boolean';
const count: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const like =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const either =
  (...checks: readonly Check[]): Check =>
  (value) =>
    checks.some((check) => check(value));
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

/** As the kernel parses them: MODULE_NAME_LEN 56 and KSYM_NAME_LEN 512, both with a NUL. */
const MODULE_NAME = like(/^[^.,\0]{1,55}$/);
const SYMBOL_NAME = like(/^[^,\0]{1,511}$/);

const RECORDED = record<RecordedFacts>({
  schema: oneOf(SCHEMA),
  name: MODULE_NAME,
  facts: record<PlatformFacts>({
    vermagic: either(text, oneOf(null)),
    prefixBytes: count,
    functionAlign: count,
    ibt: oneOf(true, false, 'before-objtool'),
    returns: oneOf('thunk', 'ret', 'ret-int3'),
    kcfi: either(
      oneOf(null, 'no-donor', 'disagreement'),
      record<{ init: number; exit: number }>({ init: count, exit: count }),
    ),
    orcAtStart: either(oneOf(null), like(/^[0-9a-f]{12}$/)),
    retpoline: flag,
    kobjectRelease: flag,
  }),
  provenance: record<Provenance>({ orig: text, patched: text }),
  klpSymbols: listOf(
    record<KlpSymbol>({
      module: MODULE_NAME,
      name: SYMBOL_NAME,
      sympos: count,
      evidence: text,
      patchedName: text,
      info: count,
    }),
  ),
  funcs: listOf(text),
});
