import type { SymbolIndex } from '../../../elf';
import { Trait } from '../../scan/traits';
import type { Side } from '../../side/side';
import type { Difference, Placement } from './placement';

/** What a compiler aligns functions to, whatever their section. */
const USUAL = 16;

/**
 * The unit of ORIG as the kernel's own build compiles it, all functions in one section. GCC 14 aligns the section of a function to 64 where a loop wants
 * that: with a section each the padding within, and jumps over it, are others than in the kernel, and only this object is equal there.
 */
export class PlainUnit {
  /** Symbols by name, 0 for a name that several have. */
  private readonly byName = new Map<string, number>();

  constructor(
    private readonly orig: Side,
    readonly side: Side,
    readonly placement: Placement,
  ) {
    const { table } = side;
    for (let symbol = 1; symbol < table.symbols; symbol++) {
      const name = side.name(symbol);
      if (name !== '') this.byName.set(name, this.byName.has(name) ? 0 : symbol);
    }
  }

  /** Its symbol that is the same as one of ORIG, 0 where there is none. */
  counterpart(symbol: SymbolIndex): number {
    return this.byName.get(this.orig.name(symbol)) ?? 0;
  }

  addressOf(symbol: SymbolIndex): number | 'several' | undefined {
    const own = this.counterpart(symbol);
    return own === 0 ? undefined : this.placement.addressOf(own);
  }

  /** Functions of ORIG that it lacks: then it is another unit. */
  get lacking(): number[] {
    const { table } = this.orig;
    const found: number[] = [];
    for (let symbol = 1; symbol < table.symbols; symbol++)
      if (table.has(symbol, Trait.FUNC) && !table.has(symbol, Trait.PREFIX) && !this.byName.has(this.orig.name(symbol)))
        found.push(symbol);
    return found;
  }

  /** Whether a function of ORIG differs because its section has an alignment that its place in the kernel has not. */
  explains({ section, symbol, missing }: Difference): boolean {
    const own = this.counterpart(symbol);
    const address = own === 0 || missing ? undefined : this.placement.addressOf(own);
    const align = this.orig.object.align(section);
    if (typeof address !== 'number' || align <= USUAL || this.placement.differenceOf(own) !== undefined) return false;
    return (address - this.orig.table.value[symbol]!) % align !== 0;
  }
}

/** Where symbols of ORIG are by both objects; `several` where they disagree. */
export function addressBy(placement: Placement, plain: PlainUnit | null): Pick<Placement, 'addressOf'> {
  if (plain === null) return placement;
  return {
    addressOf(symbol) {
      const [one, other] = [placement.addressOf(symbol), plain.addressOf(symbol)];
      return one === undefined || other === undefined || one === other ? (other ?? one) : 'several';
    },
  };
}
