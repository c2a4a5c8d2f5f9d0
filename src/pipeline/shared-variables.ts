import { ElfObject } from '../elf';
import { MappedFile } from '../files/mapped-file';
import { readKlpObject } from '../livepatch/klp';
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
  const globals = outcomes.map(globalsOf);
  const asked = new Map<number, string[]>();
  outcomes.forEach(({ findings }, owner) => {
    const fresh = findings.objects.flatMap(({ data }) => data.new.map(({ name }) => name));
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
  if (made === undefined) return { defined: new Set(), undefined: new Set() };
  const file = MappedFile.ofBytes(new Uint8Array(made.object), 'the extracted object');
  const { symbols } = readKlpObject(new ElfObject(file));
  const named = (undefined_: boolean): Set<string> =>
    new Set(symbols.filter(({ section }) => (section === 'undefined') === undefined_).map(({ name }) => name));
  return { defined: named(false), undefined: named(true) };
}
