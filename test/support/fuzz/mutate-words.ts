import { Random } from '../../../src/synth/random';

/** One to four damages to a file of 32-bit words (BTF): a word, a byte, a piece moved, an end. The first words, a header, are hit more often. */
export function mutateWords(file: Buffer, seed: number): { bytes: Buffer; done: string[] } {
  const random = new Random(seed, 0xb7f);
  let bytes = Buffer.from(file);
  const done: string[] = [];
  for (let left = 1 + random.below(4); left > 0 && bytes.length >= 4; left--) {
    const dice = random.below(100);
    const words = bytes.length >>> 2;
    if (dice < 75) {
      const word = dice < 15 ? random.below(Math.min(6, words)) : random.below(words);
      const now = bytes.readUInt32LE(word * 4);
      const values = [
        0,
        1,
        now + 1,
        now - 1,
        now * 2,
        now ^ 0x1000000,
        now ^ 0x80000000,
        now | 0xffff,
        0x7fffffff,
        0xffffffff,
        0xffff,
        bytes.length,
        bytes.readUInt32LE(random.below(words) * 4),
        random.next(),
        word,
        (random.below(32) << 24) | random.below(65536),
      ];
      const value = random.pick(values) >>> 0;
      bytes.writeUInt32LE(value, word * 4);
      done.push(`word at ${word * 4} = 0x${value.toString(16)}`);
    } else if (dice < 85) {
      const at = random.below(bytes.length);
      bytes[at] = random.below(256);
      done.push(`byte ${at}`);
    } else if (dice < 93) {
      const [from, to, length] = [random.below(bytes.length), random.below(bytes.length), random.below(64)];
      bytes.copy(bytes, to, from, Math.min(from + length, bytes.length));
      done.push(`${length} bytes from ${from} to ${to}`);
    } else {
      bytes = bytes.subarray(0, random.below(bytes.length));
      done.push(`cut to ${bytes.length} bytes`);
    }
  }
  return { bytes, done };
}
