import { readExtracted } from './extract';
import type { PairOutcome } from './one-pair';

/**
 * Makes the pairs anew whose new variables only another pair's code uses (vmlinux gets a variable and its export, a module reads it): nothing of their own
 * object reaches them, so they go in by name. What comes along may use more. Changes `outcomes`.
 */
export async function addSharedVariables(
  outcomes: PairOutcome[],
  again: (pair: number, wanted: readonly string[]) => Promise<PairOutcome>,
): Promise<void> {
  const known = new Map<number, string[]>();
  for (let grown = outcomes.length > 1; grown; ) {
    grown = false;
    for (const [pair, names] of variablesForOthers(outcomes)) {
      const before = known.get(pair) ?? [];
      const wanted = [...new Set([...before, ...names])].sort();
      if (wanted.length === before.length) continue;
      known.set(pair, wanted);
      outcomes[pair] = await again(pair, wanted);
      grown = true;
    }
  }
}

/** By position of the pair that defines them; names that its livepatch object has already are left out. */
function variablesForOthers(outcomes: readonly PairOutcome[]): Map<number, string[]> {
  const asked = new Map<number, string[]>();
  const news = outcomes.map(({ findings }) => findings.objects.flatMap(({ data }) => data.new.map(({ name }) => name)));
  if (news.every((names) => names.length === 0)) return asked;
  const globals = outcomes.map(globalsOf);
  news.forEach((fresh, owner) => {
    const names = fresh.filter(
      (name) =>
        !globals[owner]!.defined.has(name) &&
        globals.some(({ undefined: used }, other) => other !== owner && used.has(name)),
    );
    if (names.length > 0) asked.set(owner, [...new Set(names)].sort());
  });
  return asked;
}

interface Globals {
  defined: ReadonlySet<string>;
  undefined: ReadonlySet<string>;
}

function globalsOf({ made }: PairOutcome): Globals {
  const found = { defined: new Set<string>(), undefined: new Set<string>() };
  if (made === undefined) return found;
  for (const { name, section } of readExtracted(made.object).symbols)
    found[section === 'undefined' ? 'undefined' : 'defined'].add(name);
  return found;
}
