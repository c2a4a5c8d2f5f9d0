import { Random } from '../../../src/synth/random';

const FIELDS = [
  '',
  '0',
  '-1',
  '0x',
  '0xffffffffffffffff',
  'ffffffffffffffffffff',
  '18446744073709551615',
  '9'.repeat(30),
  'NaN',
  'UND',
  'ABS',
  '[',
  ']',
  '[a',
  'a]',
  '[<other>: 88]',
  '%s',
  '\0',
  '\u00e4\u20ac',
  'vmlinux',
  'EXPORT_SYMBOL',
  '__proto__',
  'constructor',
  'toString',
  '.L',
  '_stext',
  ':',
  '1:',
];

/** One to four damages to a text of lines with fields: bytes, fields, separators, lines. */
export function mutateText(text: Buffer, seed: number): { bytes: Buffer; done: string[] } {
  const random = new Random(seed, 0x7e);
  let bytes = Buffer.from(text);
  const done: string[] = [];
  for (let left = 1 + random.below(4); left > 0 && bytes.length > 0; left--) {
    const dice = random.below(100);
    const lines = bytes.toString('latin1').split('\n');
    const at = random.below(lines.length);
    const join = (): void => void (bytes = Buffer.from(lines.join('\n'), 'latin1'));
    if (dice < 20) {
      const place = random.below(bytes.length);
      bytes[place] = random.below(256);
      done.push(`byte ${place}`);
    } else if (dice < 55) {
      const parts = lines[at]!.split(/([ \t]+)/);
      const field = random.below(parts.length);
      parts[field] = random.chance(20)
        ? parts[random.below(parts.length)]!
        : random.chance(5)
          ? 'x'.repeat(70_000)
          : Buffer.from(random.pick(FIELDS)).toString('latin1');
      lines[at] = parts.join('');
      join();
      done.push(`field ${field} of line ${at + 1}`);
    } else if (dice < 65) {
      lines[at] = lines[at]!.replace(
        random.pick([/\t/g, / +/g, /[0-9a-f]{4}/, /\S+$/]),
        random.pick(['', '\t', ' ', '\r', '\n', '\0']),
      );
      join();
      done.push(`separators of line ${at + 1}`);
    } else if (dice < 75) {
      const other = random.below(lines.length);
      [lines[at], lines[other]] = [lines[other]!, lines[at]!];
      join();
      done.push(`lines ${at + 1} and ${other + 1} exchanged`);
    } else if (dice < 85) {
      lines.splice(at, random.below(lines.length));
      join();
      done.push(`lines from ${at + 1} gone`);
    } else if (dice < 90) {
      lines.splice(at, 0, ...Array.from({ length: 1 + random.below(300) }, () => lines[at]!));
      join();
      done.push(`line ${at + 1} many times`);
    } else if (dice < 96) {
      bytes = bytes.subarray(0, random.below(bytes.length));
      done.push(`cut to ${bytes.length} bytes`);
    } else {
      bytes = Buffer.concat([bytes, Buffer.from(Array.from({ length: random.below(64) }, () => random.below(256)))]);
      done.push('noise behind the end');
    }
  }
  return { bytes, done };
}
