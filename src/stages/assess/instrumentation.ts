import type { SymbolIndex } from '../../elf';
import { Role } from '../../kernel/sections';
import { isProfileCounter, isReturnThunk } from '../../kernel/symbol-rules';
import type { Side } from '../side/side';
import { Trait } from '../scan';
import { referencesFrom, usersOf } from './references';
import type { AssessInput } from './types';

/** What constructors that compilers make register with: KASAN's and its kin's variables, gcov's counters. */
const REGISTRARS = /^(?:__(?:asan|hwasan|kasan|msan|tsan|gcov|sanitizer)_|llvm_gcov_)/;
const GCOV = /^(?:__gcov_|llvm_gcov_)/;
const NOTHING: ReadonlySet<number> = new Set();

/**
 * Functions that compilers make for instrumentation and that run when the kernel boots or a module is loaded: constructors whose only
 * calls are to register (`_sub_I_65535_1`, `asan.module_ctor`). The running kernel is past them, whatever they look like now. Canonical.
 */
export interface Instrumentation {
  constructors: ReadonlySet<number>;
  /** Whether some register counters of gcov. */
  counts: boolean;
}

export function instrumentationOf(side: Side): Instrumentation {
  const { table, object } = side;
  const constructors = new Set<number>();
  let counts = false;
  for (const section of table.ofRole(Role.CONSTRUCTORS)) {
    for (const { symbol } of referencesFrom(side, section, 0, object.size(section))) {
      if (
        symbol === 0 ||
        constructors.has(symbol) ||
        table.has(symbol, Trait.OBJECT) ||
        table.section[symbol]! >= table.sections
      )
        continue;
      const callees = calleesOf(side, symbol);
      if (callees.length === 0 || !callees.every((name) => REGISTRARS.test(name))) continue;
      constructors.add(symbol);
      counts ||= callees.some((name) => GCOV.test(name));
    }
  }
  return { constructors, counts };
}

/** Whom a function calls, apart from what every function may call. */
function calleesOf(side: Side, symbol: SymbolIndex): string[] {
  const { section, start, end } = side.rangeOf(symbol);
  return referencesFrom(side, section, start, end)
    .filter(({ branch, symbol: callee }) => branch && callee !== 0)
    .map(({ symbol: callee }) => side.name(callee))
    .filter((name) => name !== '__fentry__' && !isReturnThunk(name));
}

/** Those of some data that only such constructors refer to: tables of what there is to register. */
export function registered(
  side: Side,
  { constructors }: Instrumentation,
  data: readonly number[],
): ReadonlySet<number> {
  if (constructors.size === 0 || data.length === 0) return NOTHING;
  const users = usersOf(side, new Set(data));
  return new Set(
    data.filter(
      (symbol) => users.has(symbol) && users.get(symbol)!.every(({ symbol: user }) => constructors.has(user)),
    ),
  );
}

/** The input without what instrumentation made for itself: it changes with every edit, and nothing that runs comes by it. */
export function withoutInstrumentation<T extends Omit<AssessInput, 'tables'>>(input: T): T {
  const { orig, patched, verdicts, unpaired } = input;
  const [ours, theirs] = [instrumentationOf(orig), instrumentationOf(patched)];
  if (ours.constructors.size + theirs.constructors.size === 0) return input;
  const data = (side: Side, symbols: readonly SymbolIndex[]): number[] =>
    symbols.filter((symbol) => side.table.has(symbol, Trait.OBJECT) && side.table.canonical[symbol] === symbol);
  const left = (side: Side, own: Instrumentation, symbols: readonly SymbolIndex[]): ReadonlySet<number> =>
    new Set([
      ...own.constructors,
      ...registered(side, own, data(side, symbols)),
      ...(own.counts ? symbols.filter((symbol) => isProfileCounter(side.name(symbol))) : []),
    ]);
  const a = left(orig, ours, [...verdicts.map((verdict) => verdict.orig), ...unpaired.orig]);
  const b = left(patched, theirs, [...verdicts.map((verdict) => verdict.patched), ...unpaired.patched]);
  return {
    ...input,
    verdicts: verdicts.filter((verdict) => !a.has(verdict.orig) && !b.has(verdict.patched)),
    unpaired: {
      orig: unpaired.orig.filter((symbol) => !a.has(orig.table.canonical[symbol]!)),
      patched: unpaired.patched.filter((symbol) => !b.has(patched.table.canonical[symbol]!)),
    },
  };
}
