import type { Offset } from '../../elf';
import type { OutputSection } from '../../livepatch/object';

const WIDE = 0xffffffff;
/** Behind the length of a record: the distance to the entry it shares its beginning with (0: it is one itself), then the function's address. */
const ADDRESS = 8;

/** Records of a copied .eh_frame, which say how to unwind one function each. */
export class Frames {
  /** Where each ends, by the place of its function's address. */
  private readonly ends = new Map<number, number>();

  constructor(
    private readonly section: OutputSection,
    little: boolean,
  ) {
    const { bytes } = section;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at + 4 <= bytes.length; ) {
      const length = view.getUint32(at, little);
      const end = at + 4 + length;
      // No kernel object has 4 GB of it. What is damaged stays as it is.
      if (length === WIDE || end > bytes.length) return;
      if (length >= ADDRESS && view.getUint32(at + 4, little) !== 0) this.ends.set(at + ADDRESS, end);
      at = end;
    }
  }

  /**
   * Empties the record whose function's address, at `offset`, is no more: it would cover what happens to lie there. arm64 with dynamic
   * shadow call stacks rewrites instructions at places that a module's .eh_frame names (scs_patch).
   */
  empty(offset: Offset): void {
    const end = this.ends.get(offset);
    // Address and length 0, no augmentation data, no instructions but DW_CFA_nop.
    if (end !== undefined) this.section.bytes.fill(0, offset, end);
  }
}
