import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KlpflowError } from '../../../src/diagnostics';
import { KernelImage, kallsymsText, symversText } from '../../../src/kernel-image';
import { readShipped } from '../../../src/verify/shipped';
import { Random } from '../../../src/synth/random';
import { bzImage, gzipped, smallImage, withSize, zboot } from '../kernel-image';
import { mutateWords } from './mutate-words';
import { checkResult, ELF_CODES, type Subject } from './outcome';

/** What is damaged of a file: a part of it, as most of a kernel is zeros here. */
interface Target {
  name: string;
  file: Buffer;
  from: number;
  to: number;
}

/** The kernel's image: its wrappers, its compression, and the tables in it, from which every fact is read. */
export function kernelImageSubject(folder: string): Subject {
  const path = join(folder, 'vmlinuz');
  const targets: Target[] = [];
  for (const layout of ['5.10', '6.1', '6.12', '6.12-up', '6.12-arm64', '7.3'] as const) {
    const { bytes } = smallImage(layout);
    const text = bytes.indexOf('MZ') === 0 ? 0 : 0x1000;
    for (const [from, to] of [
      [0, 0x200],
      [text + 0x8000, text + 0xa100],
      [text + 0x10000, text + 0x19000],
      [bytes.length - 0x200, bytes.length],
    ])
      targets.push({ name: layout, file: bytes, from: from!, to: to! });
  }
  const { bytes } = smallImage('6.12');
  const whole = (name: string, file: Buffer): void =>
    void targets.push(
      { name, file, from: 0, to: Math.min(file.length, 0x2000) },
      { name, file, from: 0, to: file.length },
    );
  whole('gzip', bzImage(gzipped(bytes)));
  whole('zboot', zboot(gzipped(smallImage('6.12-arm64').bytes)));
  for (const [tool, ...args] of [
    ['lz4', '-l', '-c', '-q'],
    ['xz', '-c', '--check=crc32', '--x86', '--lzma2=dict=1MiB'],
    ['xz', '-c', '--format=lzma'],
    ['bzip2', '-c'],
    ['lzop', '-9', '-c'],
    ['zstd', '-c', '-q'],
  ]) {
    const { stdout, status } = spawnSync(tool!, args, { input: bytes, maxBuffer: 1 << 28 });
    if (status === 0) whole(`${tool} ${args.join(' ')}`, bzImage(withSize(stdout, bytes.length)));
  }
  return {
    codes: new Set([...ELF_CODES, 'not-linked', 'malformed-image', 'unusable-image']),
    mutant(seed) {
      const { name, file, from, to } = new Random(seed, 0x1e).pick(targets);
      const { bytes: part, done } = mutateWords(file.subarray(from, to), seed);
      const cut = part.length < to - from ? Buffer.alloc(0) : file.subarray(to);
      const mutant = Buffer.concat([file.subarray(0, from), part, cut]);
      return {
        done: [name, `from ${from}`, ...done],
        async run() {
          // The verifier's reader first: it must end in as typed a way.
          writeFileSync(path, mutant);
          const shipped = await readShipped(path).catch((error: unknown) => error);
          if (shipped instanceof Error && !(shipped instanceof KlpflowError)) throw shipped;
          const image = await KernelImage.of(new Uint8Array(mutant), 'vmlinuz');
          checkResult([
            image.build,
            image.exports,
            [...image.sealed],
            [...(image.ftraceSites ?? [])],
            image.symbols.count,
          ]);
          kallsymsText(image.symbols);
          symversText(image.exports);
          void image.btf;
          void image.config;
          return 'read';
        },
      };
    },
  };
}
