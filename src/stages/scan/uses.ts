/** Words of one use: the user symbol, the slot in it, the target symbol. */
export const USE_WORDS = 3;

/** Slot of a reference that a special-section entry makes on behalf of the function it describes. */
export function specialSlot(special: number, site: number): number {
  return (0x80000000 | (special << 27) | (site & 0x07ffffff)) >>> 0;
}

/**
 * References to symbols whose base name is not unique, as (user, slot, target) triples in scan order.
 *
 * Names alone cannot tell such targets apart; that the same place of the same function refers to them can. A kernel
 * has some 40,000 of these among 600,000 references, so they are kept and the others are not.
 */
export class Uses {
  private words = new Uint32Array(USE_WORDS * 1024);
  private length = 0;

  push(user: number, slot: number, target: number): void {
    if (this.length + USE_WORDS > this.words.length) {
      const grown = new Uint32Array(this.words.length * 2);
      grown.set(this.words);
      this.words = grown;
    }
    this.words[this.length++] = user;
    this.words[this.length++] = slot;
    this.words[this.length++] = target;
  }

  append(words: Uint32Array): void {
    for (let i = 0; i < words.length; i += USE_WORDS) this.push(words[i]!, words[i + 1]!, words[i + 2]!);
  }

  get count(): number {
    return this.length / USE_WORDS;
  }

  take(): Uint32Array {
    return this.words.slice(0, this.length);
  }
}
