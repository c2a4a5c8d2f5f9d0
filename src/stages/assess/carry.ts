import type { SymbolIndex } from '../../elf';
import { append } from '../../lists';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { namesOf, twinOf } from '../correlate';
import { Trait } from '../scan';
import type { Bodies } from './bodies';
import { hasFtraceSite } from './ftrace-sites';
import type { Pieces } from './pieces';
import { usersOf, type User } from './references';
import type { AssessInput, ObjectResult } from './types';
import { exportedOf } from './unseen';
import { isUnit } from './whole-kernel';

/** A body of PATCHED that does not get all the addresses that it had in ORIG: whoever calls one of the others is taken along. */
interface Unreached {
  symbol: SymbolIndex;
  /** ORIG's bodies that go on as they are although callers want this one. */
  left: number[];
  /** They have no site; else they are other functions' as well. */
  untraceable: boolean;
}

/** What goes in besides the changes themselves, and whose place it takes. */
export interface Carried {
  /** ORIG's bodies whose place each function of PATCHED takes. */
  origins: ReadonlyMap<number, readonly number[]>;
  /** Changed functions that need not go in: ORIG has the same body, only under other names. */
  spared: ReadonlySet<number>;
}

/** What is known of the pair's functions; `discarded` are traits of those that are gone. */
interface Known {
  bodies: Bodies;
  pieces: Pieces;
  discarded: number;
}

/** What assess has found so far, to be added to. */
interface Found {
  included: Set<SymbolIndex>;
  result: ObjectResult;
  diagnostics: Diagnostic[];
}

/**
 * Takes the callers of changed functions that cannot be reached by redirecting ORIG's.
 *
 * 7,147 of 50,226 functions of a 7.2 kernel have no ftrace site, 5,041 of them out-of-line copies of `static inline` functions (13 times
 * `refcount_inc`), so a fix in a header lands there first. Others share their address with a function that is to stay what it is (see
 * Bodies). The changed body then goes in as a new function, and every caller with it, until each one can be redirected.
 *
 * `changed` are pairs of canonical functions; `included` gets the callers.
 */
export function carryCallers(
  input: AssessInput,
  changed: ReadonlyArray<{ orig: number; patched: number }>,
  { bodies, pieces, discarded }: Known,
  { included, result, diagnostics }: Found,
): Carried {
  const { pairing, orig, patched, objectName } = input;
  const unit = isUnit(input);
  const origins = new Map<number, number[]>();
  const refuse = ({ symbol, left, untraceable }: Unreached, why: string): void => {
    const name = patched.name(symbol);
    const where = { object: objectName, section: patched.sectionName(symbol), symbol: name };
    if (untraceable) diagnostics.push(diagnostic('not-traceable', `${name} has no ftrace site, and ${why}`, where));
    else
      diagnostics.push(
        diagnostic(
          'shared-address',
          `${left
            .map((body) =>
              namesOf(orig.table, body)
                .map((other) => orig.name(other))
                .join(' and '),
            )
            .join(', ')} are one function in ORIG and not in PATCHED, and of ${name} ${why}`,
          where,
        ),
      );
  };
  /** Lets a body inherit the addresses that it may; what is left over it cannot be reached by. */
  const settle = (symbol: SymbolIndex, bodiesOfOrig: readonly number[]): Unreached[] => {
    const own = bodiesOfOrig.filter((body) => bodies.mayInherit(body, symbol));
    const reached = own.filter((body) => hasFtraceSite(input, body));
    origins.set(symbol, reached);
    const unsited = own.filter((body) => !reached.includes(body));
    const parted = bodiesOfOrig.filter((body) => !own.includes(body));
    return [
      { symbol, left: unsited, untraceable: true },
      { symbol, left: parted, untraceable: false },
    ].filter(({ left }) => left.length > 0);
  };

  const byPatched = new Map<number, number[]>();
  for (const { orig: body, patched: symbol } of changed)
    byPatched.set(symbol, [...(byPatched.get(symbol) ?? []), body]);
  const spared = new Set<number>();
  const via = new Map<number, string[]>();
  let open: Unreached[] = [];
  for (const [symbol, differing] of byPatched) {
    const unreached = settle(symbol, differing);
    if (bodies.hasEqual(symbol) && origins.get(symbol)!.length === 0) spared.add(symbol);
    if (!patched.table.has(symbol, discarded)) append(open, unreached);
    via.set(symbol, []);
  }
  while (open.length > 0) {
    const users = usersOf(
      patched,
      new Set(open.flatMap(({ symbol, left }) => [symbol, ...left.flatMap((body) => bodies.twinsOf(body))])),
    );
    const exported = exportedOf(patched, new Set(open.map(({ symbol }) => symbol)));
    const usersBefore = usersOf(orig, new Set(open.flatMap(({ left }) => left)));
    const next: Unreached[] = [];
    for (const unreached of open) {
      const { symbol: callee, left, untraceable } = unreached;
      const before = left.flatMap((body) => usersBefore.get(body) ?? []);
      const bodiesBefore = new Set(before.map(({ symbol }) => symbol));
      // Names that were told apart: whoever called another one goes on doing so. New callers are changed themselves.
      const wants = ({ symbol }: User): boolean =>
        symbol === 0 || untraceable || bodies.originsOf(symbol).some((origin) => bodiesBefore.has(origin));
      const callers = (users.get(callee) ?? []).filter(
        (user) => user.symbol !== callee && !isLabel(user) && wants(user),
      );
      if (callers.length === 0 && untraceable) refuse(unreached, 'nothing that refers to it is known');
      else if (
        callers.length > 0 &&
        callers.every(({ symbol }) => symbol !== 0 && patched.table.has(symbol, discarded))
      )
        refuse(unreached, 'only init or exit code refers to it');
      else if (exported.has(callee)) refuse(unreached, 'it is exported: modules go on calling the old one');
      else if (unit && isGlobal(unreached)) refuse(unreached, 'other units may go on calling the old one');
      for (const caller of callers) {
        if (caller.symbol === 0 || patched.table.has(caller.symbol, Trait.OBJECT)) {
          refuse(
            unreached,
            `its address is kept in ${caller.symbol === 0 ? patched.object.name(caller.section) : patched.name(caller.symbol)}`,
          );
          continue;
        }
        if (patched.table.has(caller.symbol, discarded)) {
          // Init code has run and exit code never will: neither needs the new body.
          continue;
        }
        // A piece comes along with its function, which has the site.
        const symbol = pieces.parentOf(caller.symbol) || caller.symbol;
        if (included.has(symbol)) continue;
        included.add(symbol);
        const chain = [patched.name(callee), ...via.get(callee)!];
        via.set(symbol, chain);
        result.functions.carried.push({ name: patched.name(symbol), via: chain });
        append(next, settle(symbol, bodies.originsOf(symbol)));
      }
      const elsewhere = left
        .flatMap((body) => bodies.twinsOf(body))
        .filter((twin) => twin !== callee)
        .flatMap((twin) => users.get(twin) ?? []);
      const keeper = before.find(
        (user) =>
          takesAddress(user) &&
          !left.includes(user.symbol) &&
          !elsewhere.some(({ branch, symbol }) => !branch && symbol === twinOf(pairing, user.symbol)),
      );
      if (keeper !== undefined) refuse(unreached, `its address was taken by ${orig.name(keeper.symbol)}`);
    }
    open = next;
  }
  return { origins, spared };

  /** Whether others than this object may refer to it: by a global name at an address that goes on leading to the old body. */
  function isGlobal({ symbol, left }: Unreached): boolean {
    return namesOf(patched.table, symbol).some(
      (name) => !patched.table.isLocal(name) && left.includes(orig.table.canonical[pairing.origin[name]!]!),
    );
  }

  /** Whether code of ORIG that is still there may have put the address where a later call finds it. */
  function takesAddress({ symbol, branch, inside }: User): boolean {
    return !branch && inside === 0 && symbol !== 0 && !orig.table.has(symbol, Trait.OBJECT);
  }
}

/** Data that leads into a function is a table of its labels, and calls nobody. */
function isLabel({ branch, inside }: User): boolean {
  return !branch && inside !== 0;
}
