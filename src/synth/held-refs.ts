import type { Rela } from '../elf/writer';
import { Column } from './columns';
import type { CodeRef } from './encoded';
import type { SynthTarget } from './model';
import type { SynthPlace, Places } from './places';

const Kind = { FUNCTION: 0, OBJECT: 1, STRING: 2, NAME: 3 } as const;

/**
 * References of a section that many units add to, as columns: two numbers say what is meant, and where that is will be known
 * when all units are laid out.
 */
export class HeldRefs {
  count = 0;
  private readonly offsets = new Column();
  /** Relocation type and kind of target. */
  private readonly types = new Column();
  private readonly first = new Column();
  private readonly second = new Column();
  private readonly addends = new Column();

  constructor(private readonly places: Places) {}

  /** Adds the references of code or data that starts at `base`. */
  add(refs: readonly CodeRef[], base: number): void {
    for (const ref of refs) {
      const i = this.count++;
      const [kind, first, second] = this.numbers(ref.target);
      this.offsets.set(i, base + ref.offset);
      this.types.set(i, ref.type * 4 + kind);
      this.first.set(i, first);
      this.second.set(i, second);
      this.addends.set(i, ref.addend);
    }
  }

  *rows(): Generator<Rela> {
    const row: Rela = { offset: 0, type: 0, symbol: 0, addend: 0 };
    for (let i = 0; i < this.count; i++) {
      const { symbol, addend } = this.place(this.types.get(i) & 3, this.first.get(i), this.second.get(i));
      row.offset = this.offsets.get(i);
      row.type = this.types.get(i) >>> 2;
      row.symbol = symbol;
      row.addend = addend + this.addends.get(i);
      yield row;
    }
  }

  private numbers(target: SynthTarget): [kind: number, first: number, second: number] {
    if ('function' in target) return [Kind.FUNCTION, target.function.unit, target.function.ordinal];
    if ('object' in target) return [Kind.OBJECT, target.object.unit, target.object.index];
    const { symbol, addend } = this.places.get(target);
    return ['string' in target ? Kind.STRING : Kind.NAME, symbol, addend];
  }

  private place(kind: number, first: number, second: number): SynthPlace {
    if (kind === Kind.FUNCTION) return this.places.functions.get(first, second);
    return kind === Kind.OBJECT ? this.places.objects.get(first, second) : { symbol: first, addend: second };
  }
}
