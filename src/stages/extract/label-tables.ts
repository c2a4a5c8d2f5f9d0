import type { SymbolIndex } from '../../elf';
import { functionAround, functionsPointedInto, isEntry, labelOf } from '../side/labels';
import { Trait } from '../scan';
import type { Clones, Copy } from './clones';
import type { Link } from './link';
import type { Refusals } from './refusals';
import { biasOf } from '../places';
import type { Reference } from './resolve';
import type { CopyInput } from './types';

/** Keeps references from leading into the middle of a function that stays in the kernel, or to data that leads there. */
export class LabelTables {
  private readonly known = new Map<number, Link | undefined>();

  constructor(
    private readonly input: CopyInput,
    private readonly clones: Clones,
    private readonly refusals: Refusals,
  ) {}

  /** How a table of labels is reached: as a copy, beside its function's. Undefined for other data. */
  linkTo(symbol: SymbolIndex, from: Copy, at: number): Link | undefined {
    const { patched } = this.input;
    if (!patched.table.has(symbol, Trait.OBJECT)) return undefined;
    if (!this.known.has(symbol)) this.known.set(symbol, this.decide(symbol, from, at));
    return this.known.get(symbol);
  }

  private decide(symbol: SymbolIndex, from: Copy, at: number): Link | undefined {
    const { patched } = this.input;
    const functions = functionsPointedInto(patched, patched.rangeOf(symbol));
    if (functions.length === 0) return undefined;
    const other = functions.find((owner) => this.clones.of(owner) === undefined);
    if (other === undefined) return { kind: 'clone' };
    const name = patched.name(symbol);
    this.refusals.add(
      'label-table',
      name,
      patched.object.name(from.range.section),
      at,
      `${from.name} reads ${name}, which holds addresses inside ${patched.name(other)}, and that function stays in the kernel`,
    );
    return { kind: 'refused' };
  }

  /** Refuses a reference to the middle of a function that stays. @returns whether it did */
  refuseInside(
    symbol: SymbolIndex,
    { field, type, addend }: Pick<Reference, 'field' | 'type' | 'addend'>,
    from: Copy,
    at: number,
  ): boolean {
    const { patched } = this.input;
    const { table, arch } = patched;
    const section = table.section[symbol]!;
    if (section >= table.sections || isEntry(patched, symbol)) return false;
    const named = table.value[symbol]! + addend + biasOf(patched, from.range, field, type);
    const place = labelOf(patched, from.range.section, field, type, section, named);
    const owner = functionAround(patched, section, place);
    if (
      owner === 0 ||
      place - table.value[owner]! === arch.localEntry(patched.object.symbolOther(owner)) ||
      this.clones.of(owner) !== undefined
    )
      return false;
    const about = `${patched.name(owner)}+0x${(place - table.value[owner]!).toString(16)}`;
    this.refusals.add(
      'inside-function',
      about,
      patched.object.name(from.range.section),
      at,
      `${from.name} leads to ${about}, the middle of a function that stays in the kernel`,
    );
    return true;
  }
}
