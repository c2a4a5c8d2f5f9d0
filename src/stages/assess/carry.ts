import { diagnostic, type Diagnostic } from '../../diagnostics';
import type { Verdict } from '../compare';
import { namesOf, originOf } from '../correlate';
import { Trait } from '../scan';
import type { ColdParts } from './names';
import { exportedOf, usersOf } from './references';
import type { AssessInput, ObjectResult } from './types';

/** Whether calls to an ORIG function can be redirected. An object that says nothing about it is given the benefit of the doubt. */
export function hasFtraceSite({ orig, traceKnown, traceable }: AssessInput, symbol: number): boolean {
  if (traceable !== undefined) return namesOf(orig.table, symbol).some((name) => traceable.has(orig.name(name)));
  return !traceKnown || orig.table.has(symbol, Trait.TRACEABLE);
}

/**
 * Takes the callers of changed functions that have no ftrace site.
 *
 * 7,147 of 50,226 functions of a 7.2 kernel cannot be redirected, 5,041 of them out-of-line copies of `static inline`
 * functions (13 times `refcount_inc`), so a fix in a header lands there first. The changed body then goes in as a new
 * function, and every caller with it, until each one has a site. Only `__mcount_loc` of ORIG proves a site; an object
 * without that table (a unit before objtool) says nothing, and nothing is concluded.
 */
export function carryCallers(input: AssessInput, changed: ReadonlyMap<number, Verdict>, included: Set<number>, cold: ColdParts, discarded: number, result: ObjectResult, diagnostics: Diagnostic[]): void {
  const { pairing, patched, objectName } = input;
  const traceable = (symbol: number): boolean => {
    const twin = originOf(pairing, symbol);
    return twin !== 0 && hasFtraceSite(input, twin);
  };
  const refuse = (symbol: number, why: string): void => {
    diagnostics.push(diagnostic('not-traceable', `${patched.name(symbol)} has no ftrace site, and ${why}`, { object: objectName, section: patched.sectionName(symbol), symbol: patched.name(symbol) }));
  };
  const via = new Map<number, string[]>();
  let open = [...changed.keys()].filter((symbol) => !traceable(symbol) && !patched.table.has(symbol, discarded));
  for (const symbol of open) via.set(symbol, []);
  while (open.length > 0) {
    const users = usersOf(patched, new Set(open));
    const exported = exportedOf(patched, new Set(open));
    const next: number[] = [];
    for (const callee of open) {
      const callers = (users.get(callee) ?? []).filter((user) => user.symbol !== callee);
      if (callers.length === 0) refuse(callee, 'nothing that refers to it is known');
      else if (callers.every(({ symbol }) => symbol !== 0 && patched.table.has(symbol, discarded))) refuse(callee, 'only init or exit code refers to it');
      if (exported.has(callee)) refuse(callee, 'it is exported: modules go on calling the old one');
      for (const caller of callers) {
        if (caller.symbol === 0 || patched.table.has(caller.symbol, Trait.OBJECT)) {
          refuse(callee, `its address is kept in ${caller.symbol === 0 ? patched.object.name(caller.section) : patched.name(caller.symbol)}`);
          continue;
        }
        if (patched.table.has(caller.symbol, discarded)) {
          // Init code has run and exit code never will: neither needs the new body.
          continue;
        }
        // A cold part comes along with its function, which has the site.
        const symbol = cold.parentOf(caller.symbol) || caller.symbol;
        if (included.has(symbol)) continue;
        included.add(symbol);
        const chain = [patched.name(callee), ...via.get(callee)!];
        via.set(symbol, chain);
        result.functions.carried.push({ name: patched.name(symbol), via: chain });
        if (!traceable(symbol)) next.push(symbol);
      }
    }
    open = next;
  }
}
