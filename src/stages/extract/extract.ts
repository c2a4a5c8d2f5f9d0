/**
 * extract: everything that the included functions need, as one livepatch object.
 *
 * Each included function is copied with the padding before it, then what it refers to is followed: an export is left to the
 * module loader, what the running kernel has is named for the livepatch core (a klp relocation), and what only PATCHED has
 * (new data, strings, constants, static locals of macros) is copied, too, with its own references. Entries of special sections
 * come along with the code they describe, and bring what they name. Nothing else is copied: the result is what is reached.
 */
import { CALLBACKS, LivepatchObject } from '../../livepatch/object';
import type { Side } from '../side/side';
import { namesOf } from '../correlate';
import { replacements } from '../assess/types';
import type { Clones } from './clones';
import { copyReached } from './copy';
import { KLP_RULES } from './copy-rules';
import { klpSymbolsOf } from './klp-symbols';
import { refuseLateRelocations } from './late';
import { Linkage } from './linkage';
import { Refusals } from './refusals';
import { referencesIn } from './resolve';
import type { ExtractInput, Extraction } from './types';
import { append, moveToFront } from '../../lists';

export function extract(input: ExtractInput): Extraction {
  const { patched, objectName } = input;
  const output = new LivepatchObject(objectName, patched.object.machine, input.facts, input.provenance);
  const refusals = new Refusals(objectName);
  const linkage = new Linkage(input, refusals);
  const clones = copyReached(input, output, KLP_RULES, linkage, refusals);
  refuseLateRelocations(patched, output, refusals);
  const replaced = namePatchedFunctions(input, clones, output, refusals);
  findCallbacks(patched, objectName, clones, output, refusals);
  importNamespaces(input, output);
  return {
    object: output,
    klpSymbols: klpSymbolsOf(output),
    replaced,
    references: [...linkage.references],
    diagnostics: refusals.diagnostics,
  };
}

/** One entry for each body that takes another's place, by a name that the running kernel lists. @returns the ORIG symbols of these names */
function namePatchedFunctions(
  { included, orig, positions }: ExtractInput,
  clones: Clones,
  output: LivepatchObject,
  refusals: Refusals,
): number[] {
  const replaced: number[] = [];
  for (const { symbol, origin } of included.flatMap(replacements)) {
    if (origin === 0) continue;
    const names = namesOf(orig.table, origin).filter((name) => !orig.name(name).startsWith('.L'));
    const own = names.findIndex((name) => orig.sectionName(origin).endsWith(`.${orig.name(name)}`));
    if (own > 0) moveToFront(names, own);
    let why = '';
    let code: 'position-unknown' | 'not-in-kernel' = 'position-unknown';
    const found = names.some((name) => {
      const position = positions.positionOf(name);
      if ('sympos' in position) {
        output.funcs.push({
          oldName: position.name,
          sympos: position.sympos,
          evidence: position.evidence,
          replacement: clones.of(symbol)!,
        });
        replaced.push(name);
        return true;
      }
      if (why === '') [why, code] = [position.refused, position.code];
      return false;
    });
    if (!found)
      refusals.add(
        code,
        orig.name(origin),
        orig.sectionName(origin),
        undefined,
        `${orig.name(origin)} changed: ${why}`,
      );
  }
  return replaced;
}

/** Functions that a patch's author set with the macros of linux/livepatch_helpers.h, one pointer each. */
function findCallbacks(
  patched: Side,
  objectName: string,
  clones: Clones,
  output: LivepatchObject,
  refusals: Refusals,
): void {
  const { identity, table } = patched;
  for (const callback of CALLBACKS) {
    const name = `__klp_${callback}_callback_${objectName}`;
    const [symbol, another] = identity.named(name).filter((one) => table.size[one] === 8);
    if (symbol === undefined) continue;
    // A klp_object has one callback of a kind: of two units that set one, the other's would never run.
    if (another !== undefined)
      refusals.add(
        'duplicate-definition',
        name,
        patched.sectionName(another),
        0,
        `two units set a ${callback} callback for ${objectName}, and the kernel calls one`,
      );
    const [reference] = referencesIn(patched, patched.rangeOf(symbol));
    const clone = reference?.kind === 'symbol' ? clones.of(reference.symbol) : undefined;
    if (clone !== undefined) output.callbacks[callback] = clone;
    else
      refusals.add(
        'unresolved-reference',
        name,
        patched.sectionName(symbol),
        0,
        `${name} names a function that the livepatch does not bring`,
      );
  }
}

/** The module loader lets a symbol of a namespace in only where the module says that it imports it. */
function importNamespaces({ symvers }: ExtractInput, output: LivepatchObject): void {
  const namespaces = new Set(
    output.symbols
      .filter(({ section }) => section === 'undefined')
      .map(({ name }) => symvers.get(name)?.namespace ?? ''),
  );
  append(output.importNs, [...namespaces].filter((namespace) => namespace !== '').sort());
}
