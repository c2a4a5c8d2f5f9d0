import type { Callee, Kept } from '../../arch';
import { isReturnThunk } from '../../kernel/symbol-rules';
import type { Side } from '../side/side';
import { referencesFrom } from './references';

/** Functions of C and of sanitizers that are done with their arguments when they return. */
const HARMLESS =
  /^(?:__asan_|__hwasan_|__tsan_|__kasan_|__msan_|__sanitizer_|_?printk$|str(?:n?cmp|n?casecmp|n?len|n?cpy|n?str|r?chr|scpy)$|mem(?:cmp|cpy|move|chr)$|match_string$|__match_string$|sysfs_match_string$|(?:v?s(?:cn|n)?printf)$)/;

/**
 * Where a function leaves the address of one of `targets`, or with `deep` of what they point to. Nothing is left by code that only reads
 * there.
 */
export function keptBy(side: Side, user: number, targets: ReadonlySet<number>, deep: boolean): Kept[] {
  const { section, start, end } = side.rangeOf(user);
  const fields = new Set<number>();
  const callees = new Map<number, Callee>();
  for (const { symbol, others, at, branch } of referencesFrom(side, section, start, end)) {
    callees.set(at, branch && symbol !== 0 ? calleeNamed(side.name(symbol)) : 'any');
    if (targets.has(symbol) || others.some((other) => targets.has(other))) fields.add(at);
  }
  return side.disassembler.kept(side.bytes(user), { fields, callees, deep });
}

function calleeNamed(name: string): Callee {
  return isReturnThunk(name) ? 'return' : HARMLESS.test(name) ? 'harmless' : 'any';
}
