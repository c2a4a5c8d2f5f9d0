/** `.kpatch.strings` while it grows: each text once, in the order of first use. */
export class Strings {
  private readonly starts = new Map<string, number>();
  private readonly parts: Uint8Array[] = [];
  private used = 0;

  /** Where the text starts. */
  add(text: string): number {
    let start = this.starts.get(text);
    if (start === undefined) {
      const bytes = Buffer.from(`${text}\0`, 'utf8');
      start = this.used;
      this.starts.set(text, start);
      this.parts.push(bytes);
      this.used += bytes.length;
    }
    return start;
  }

  get size(): number {
    return this.used;
  }

  chunks(): Iterable<Uint8Array> {
    return this.parts;
  }
}
