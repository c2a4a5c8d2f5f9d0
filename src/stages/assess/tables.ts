import type { SymbolIndex } from '../../elf';
import type { Kept } from '../../arch';
import { SectionClass } from '../../kernel/section-class';
import type { Verdict } from '../compare';
import type { Side } from '../side/side';
import { namesOf, originOf, type Pairing } from '../correlate';
import { Kind, Trait } from '../scan';
import { instrumentationOf } from './instrumentation';
import { keptBy } from './kept';
import { Pieces } from './pieces';
import { meantBy, referencesFrom } from './references';
import { leadsToCode, tableUsers, type TableUsers } from './table-users';
import type { AssessInput } from './types';
import { isUnit } from './whole-kernel';
import type { Tables } from './types';

const NOT_PLAIN =
  SectionClass.INIT |
  SectionClass.EXIT |
  SectionClass.SPECIAL |
  SectionClass.DERIVED |
  SectionClass.RECORD |
  SectionClass.STRING |
  SectionClass.CONSTANT;

/**
 * Reports which changed read-only data is a table: messages, policies, labels, constants, dispatch tables. Nobody can tell its copy from
 * it if everyone who reads it gets the copy. So all readers go in, those too that reach it through other read-only data; and it is none
 * where something that stays keeps its address: a variable, an export, code that is gone and handed it on, or, of operations, anybody.
 */
export function changedTables(
  input: Omit<AssessInput, 'tables'>,
  verdicts: readonly Verdict[],
  discarded: number,
): Tables {
  const { pairing, patched } = input;
  const roots = verdicts.filter(
    ({ status, orig: a, patched: b }) =>
      status === 'changed' &&
      patched.table.has(b, Trait.OBJECT) &&
      isPlainReadOnly(input.orig, a) &&
      isPlainReadOnly(patched, b),
  );
  const copied = new Set<number>();
  const readers = new Map<string, Verdict>();
  const refused = new Map<number, string>();
  if (roots.length === 0) return { copied, readers: [], refused };

  const users = tableUsers(
    patched,
    roots.map(({ patched: symbol }) => symbol),
    instrumentationOf(patched),
  );
  const changed = new Set(verdicts.filter(({ status }) => status === 'changed').map(keyOf));
  const pieces = new Pieces(patched);
  const judge = new Judge(input, users, discarded);
  for (const { orig: root, patched: symbol } of roots) {
    const chain = ancestors(users, symbol);
    const why = judge.refusal(symbol, chain);
    if (why !== undefined) {
      refused.set(root, why);
      continue;
    }
    for (const object of chain) {
      if (originOf(pairing, object) !== 0) copied.add(object);
      for (const part of users.get(object)!.functions) {
        const reader = pieces.parentOf(part) || part;
        if (patched.table.has(reader, discarded)) continue;
        const name = patched.name(object);
        const first = {
          offset: offsetIn(patched, part, object),
          orig: name,
          patched: `${name} (${patched.name(symbol)} changed)`,
        };
        // Two functions of ORIG may have become one.
        for (const origin of originsOf(pairing, reader)) {
          const verdict: Verdict = { orig: origin, patched: reader, status: 'changed', class: 'table', first };
          if (!changed.has(keyOf(verdict))) readers.set(keyOf(verdict), verdict);
        }
      }
    }
  }
  return { copied, readers: [...readers.values()], refused };
}

/** Verdicts with those on readers of tables, which replace what compare said of the same functions. */
export function withReaders(verdicts: readonly Verdict[], readers: readonly Verdict[]): Verdict[] {
  if (readers.length === 0) return [...verdicts];
  const raised = new Set(readers.map(keyOf));
  return [...verdicts.filter((verdict) => !raised.has(keyOf(verdict))), ...readers];
}

function keyOf({ orig, patched }: Pick<Verdict, 'orig' | 'patched'>): string {
  return `${orig}:${patched}`;
}

/** The bodies of ORIG that the names of a body of PATCHED had. */
function originsOf({ orig, patched, origin }: Pairing, symbol: SymbolIndex): Set<number> {
  return new Set(
    namesOf(patched, symbol)
      .map((name) => orig.canonical[origin[name]!]!)
      .filter((body) => body !== 0),
  );
}

/** The object and all read-only data that leads to it. */
function ancestors(users: ReadonlyMap<SymbolIndex, TableUsers>, symbol: SymbolIndex): Set<number> {
  const chain = new Set([symbol]);
  for (const object of chain) for (const holder of users.get(object)!.holders) chain.add(holder);
  return chain;
}

/** Data in the sections that compilers put constants in: what lies elsewhere, somebody finds by its section (`__param`). */
function isPlainReadOnly(side: Side, symbol: SymbolIndex): boolean {
  const { table } = side;
  const section = table.section[symbol]!;
  if (section >= table.sections || table.kind[symbol] !== Kind.NAMED) return false;
  const bits = table.sectionClass[section]!;
  return (
    (bits & SectionClass.READONLY) !== 0 &&
    (bits & NOT_PLAIN) === 0 &&
    /^\.(?:rodata|data\.rel\.ro)(?:\.|$)/.test(side.object.name(section))
  );
}

/** Why an object is no table; keeps what it learnt of its readers. */
class Judge {
  private readonly undecided: ReadonlySet<number>;
  private unit: boolean | undefined;

  constructor(
    private readonly input: Omit<AssessInput, 'tables'>,
    private readonly users: ReadonlyMap<SymbolIndex, TableUsers>,
    private readonly discarded: number,
  ) {
    this.undecided = new Set(input.ambiguous.flatMap((group) => group.patched));
  }

  refusal(root: number, chain: ReadonlySet<number>): string | undefined {
    const { patched } = this.input;
    const live = [...chain].some((object) =>
      [...this.users.get(object)!.functions].some((user) => !patched.table.has(user, this.discarded)),
    );
    for (const object of chain) {
      const why = this.ownRefusal(object) ?? this.usersRefusal(object, object !== root);
      if (why !== undefined)
        return object === root || why.includes(patched.name(object))
          ? why
          : `${patched.name(object)} leads to it: ${why}`;
    }
    return live ? undefined : 'no code that still runs reads it';
  }

  /** Because of what the object is. */
  private ownRefusal(object: number): string | undefined {
    const { pairing, patched } = this.input;
    const { table } = patched;
    // What is new, or belongs to each build, is the livepatch's own: only its readers matter.
    if (originOf(pairing, object) === 0)
      return this.undecided.has(object) ? `nothing tells which variable of ORIG ${patched.name(object)} is` : undefined;
    if (!isPlainReadOnly(patched, object)) return `the variable ${patched.name(object)} holds its address`;
    const global = namesOf(table, object).some((name) => !table.isLocal(name));
    return global && (this.unit ??= isUnit(this.input))
      ? `${patched.name(object)} is global: other units may read it`
      : undefined;
  }

  /** Because of who refers to it. */
  private usersRefusal(object: number, deep: boolean): string | undefined {
    const { patched } = this.input;
    const { functions, others } = this.users.get(object)!;
    if (others.length > 0) return others[0];
    const operations = leadsToCode(patched, object);
    for (const user of functions) {
      const name = patched.name(user);
      if (this.undecided.has(user)) return `nothing tells which function of ORIG ${name} is, which reads it`;
      const init = patched.table.has(user, this.discarded & Trait.INIT);
      if (!init && patched.table.has(user, this.discarded)) continue;
      const kept = keptBy(patched, user, new Set([object]), deep);
      // A copy's address in an object of the caller's is as good as a new literal's; one that everybody looks at must be the running kernel's.
      const [first] = init || operations ? kept : kept.filter((where) => where === 'variable');
      if (first !== undefined) return `${name} ${KEPT[first]}${init ? ', and has run' : ''}`;
    }
    return undefined;
  }
}

const KEPT = {
  variable: 'stores its address in a variable',
  memory: 'stores its address',
  call: 'passes its address on',
  return: 'returns its address',
  unknown: 'takes its address',
} as const satisfies Record<Kept, string>;

/** Where a function first refers to an object. */
function offsetIn(side: Side, user: number, object: number): number {
  const { section, start, end } = side.rangeOf(user);
  return referencesFrom(side, section, start, end).find((reference) => meantBy(reference).includes(object))?.at ?? 0;
}
