import type { SymbolIndex } from '../../../elf';
import type { Evidence } from '../sympos/evidence';
import type { KernelCode } from './kernel-code';
import type { Placement } from './placement';

/** Where the image has a symbol, by the code that refers to it: the image is the linker's map. */
export class ImageEvidence implements Evidence {
  constructor(
    private readonly placement: Pick<Placement, 'addressOf'>,
    private readonly kernel: KernelCode,
    readonly text: string,
  ) {}

  entryOf(
    symbol: SymbolIndex,
    _namesakes: readonly SymbolIndex[],
    entries: readonly number[],
  ): number | 'contradicts' | undefined {
    const address = this.placement.addressOf(symbol);
    if (address === undefined) return undefined;
    return entries.find((entry) => this.kernel.address(entry) === address) ?? 'contradicts';
  }
}
