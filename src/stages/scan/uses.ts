/** Words of one use: the user symbol, the slot in it, the target symbol. */
export const USE_WORDS = 3;

/**
 * References to symbols whose base name is not unique, as (user, slot, target) triples in scan order.
 *
 * Names alone cannot tell such targets apart; that the same place of the same function refers to them can. A kernel
 * has some 40,000 of these among 600,000 references, so they are kept and the others are not.
 */
export class Uses {
  private words = new Uint32Array(USE_WORDS * 1024);
  private length = 0;

  append(more: Uint32Array): void {
    if (this.length + more.length > this.words.length) {
      const grown = new Uint32Array(Math.max(this.words.length * 2, this.length + more.length));
      grown.set(this.words);
      this.words = grown;
    }
    this.words.set(more, this.length);
    this.length += more.length;
  }

  /** All of them; none are left. */
  take(): Uint32Array {
    const taken = this.words.slice(0, this.length);
    this.length = 0;
    return taken;
  }
}
