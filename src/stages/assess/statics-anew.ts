import type { SymbolIndex } from '../../elf';
import { diagnostic, type Diagnostic } from '../../diagnostics';
import { SectionClass } from '../../kernel/section-class';
import type { Side } from '../side/side';
import { originOf, twinOf } from '../correlate';
import { Kind, Trait } from '../scan';
import { unitNameOf } from './names';
import type { AssessInput } from './types';

/**
 * New static variables that look like one that is gone: a function was renamed (`conf_rsp` became `conf_rsp_fixed`), and nothing proves that its
 * `tries` is the old one. The copy starts with the value of the source, which the livepatch's author may not expect.
 *
 * @param reached all that goes into the livepatch
 */
export function reportStaticsAnew(input: AssessInput, reached: ReadonlySet<number>): Diagnostic[] {
  const { orig, patched, objectName } = input;
  const fresh = freshStatics(input, reached);
  if (fresh.length === 0) return [];
  const gone = new Map(goneStatics(input).map((symbol) => [likenessOf(orig, symbol), symbol]));
  return fresh.flatMap((symbol) => {
    const old = gone.get(likenessOf(patched, symbol));
    if (old === undefined) return [];
    const name = patched.name(symbol);
    return [
      diagnostic(
        'new-static-local',
        `${name} counts as new and starts anew: it looks like ${orig.name(old)} of ORIG, and nothing tells that it is the same`,
        { object: objectName, section: patched.sectionName(symbol), symbol: name },
      ),
    ];
  });
}

/** Static variables that only PATCHED has, among what goes into the livepatch. */
export function freshStatics({ pairing, patched, unpaired }: AssessInput, reached: ReadonlySet<number>): number[] {
  return unpaired.patched.filter(
    (symbol) => reached.has(symbol) && originOf(pairing, symbol) === 0 && isStatic(patched, symbol),
  );
}

/** Static variables that only ORIG has. */
export function goneStatics({ pairing, orig, unpaired }: AssessInput): number[] {
  return unpaired.orig.filter((symbol) => twinOf(pairing, symbol) === 0 && isStatic(orig, symbol));
}

/** Writable, and not of a kind that every build has for itself (`__already_done.2`). */
function isStatic({ table }: Side, symbol: SymbolIndex): boolean {
  return (
    table.has(symbol, Trait.OBJECT) &&
    table.has(symbol, Trait.WRITABLE) &&
    table.canonical[symbol] === symbol &&
    table.isLocal(symbol) &&
    table.kind[symbol] === Kind.NAMED
  );
}

/** What a renamed function leaves of its variables' names: Clang's have the function's before theirs (`conf_rsp.tries`), GCC's a number behind (`tries.0`). */
function likenessOf(side: Side, symbol: SymbolIndex): string {
  const { table } = side;
  const name = side
    .name(symbol)
    .split('.')
    .filter((part) => !/^(?:\d+|llvm)$/.test(part))
    .pop();
  return [
    name,
    table.size[symbol],
    table.sectionClass[table.section[symbol]!]! & SectionClass.PERCPU,
    unitNameOf(side, symbol),
  ].join('\0');
}
