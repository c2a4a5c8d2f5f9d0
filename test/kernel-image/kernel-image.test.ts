/**
 * The reader of kernel images, on small images that are made here: every wrapper and every layout of the symbol list.
 *
 * The silent failures that this guards against: a list that is off by one entry and still ascends (each sympos wrong), a stream
 * with bytes behind it whose rubbish is read as the kernel, and an image cut short that gives half of the facts.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KernelImage, kallsymsText } from '../../src/kernel-image';
import {
  BANNER,
  VERMAGIC,
  bzImage,
  crcOf,
  exportsOf,
  gzipped,
  namespaceOf,
  smallImage,
  withSize,
  zboot,
  type Layout,
} from '../support/kernel-image';
import { Kernel } from '../../src/verify/kernel';
import { readShipped, type ShippedKernel } from '../../src/verify/shipped';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const LAYOUTS: Layout[] = ['5.10', '6.1', '6.12', '6.12-up', '6.12-arm64', '7.3'];

/** What reading an image ends in: a code and its sentence. */
async function problemOf(bytes: Uint8Array): Promise<string> {
  try {
    const image = await KernelImage.of(new Uint8Array(bytes), 'vmlinuz');
    void image.exports;
    return 'read';
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code}: ${message}`;
  }
}

const lines = (image: ReturnType<typeof smallImage>): string[] =>
  image.list.map(
    ({ address, letter, name }) =>
      `${BigInt.asUintN(64, BigInt(address)).toString(16).padStart(16, '0')} ${letter} ${name}`,
  );

describe('the symbol list', () => {
  test.for(LAYOUTS)('laid out as %s has it is read whole, in order, with types', async (layout) => {
    const small = smallImage(layout);
    const image = await KernelImage.of(small.bytes, 'vmlinuz');
    const text = kallsymsText(image.symbols).toString('latin1');
    expect(text.split('\n').slice(0, -1)).toEqual(lines(small));
    // The premise: names that repeat, one that is longer than 127, and more than two blocks.
    expect(image.symbols.find('type_show').length).toBeGreaterThan(20);
    expect(small.list.some(({ name }) => name.length > 255)).toBe(true);
    expect(image.symbols.count).toBeGreaterThan(512);
  });

  test.for(LAYOUTS.filter((layout) => layout !== '6.12-arm64'))(
    'laid out as %s has it is the same by the way of the verifier',
    async (layout) => {
      const small = smallImage(layout);
      const path = join(folder, `shipped-${layout}`);
      writeFileSync(path, bzImage(gzipped(small.bytes)));
      const shipped = (await readShipped(path))!;
      expect(shipped.list).toEqual(small.list.map(({ name, letter, address }) => ({ name, letter, address })));
      expect(shipped.vermagic).toBe(VERMAGIC);
      writeFileSync(path, small.bytes.subarray(0, small.bytes.length >> 1));
      await expect(readShipped(path)).rejects.toMatchObject({ code: 'malformed-elf' });
    },
  );

  test('that is not there, or there twice, is said', async () => {
    const { bytes } = smallImage('6.12');
    const without = Buffer.from(bytes);
    without[without.indexOf('0\x001\x002\x003')] = 0x41;
    expect(await problemOf(without)).toMatch(/^unusable-image: .*CONFIG_KALLSYMS/);
    const raw = smallImage('6.12-arm64').bytes;
    expect(await problemOf(Buffer.concat([raw, raw]))).toMatch(/^unusable-image: .*two kernels/);
  });

  test('of functions alone is no livepatch kernel, and says so', async () => {
    for (const layout of LAYOUTS)
      expect(await problemOf(smallImage(layout, { all: false }).bytes), layout).toMatch(
        /^unusable-image: .*functions only.*CONFIG_KALLSYMS_ALL/,
      );
  });

  test('that is cut short within its tables, or whose count is another, is none', async () => {
    for (const layout of LAYOUTS) {
      const { bytes, list } = smallImage(layout);
      const count = Buffer.alloc(4);
      count.writeUInt32LE(list.length);
      const at = bytes.indexOf(count, 0x10000);
      expect(at, layout).toBeGreaterThan(0);
      for (const number of [0, 1, list.length - 1, list.length + 1, list.length * 2, 0xffffffff]) {
        const other = Buffer.from(bytes);
        other.writeUInt32LE(number, at);
        expect(await problemOf(other), `${layout} ${number}`).toMatch(/^(?:malformed|unusable)-image: /);
      }
    }
  });

  test('one marker that disagrees is damage, not a list', async () => {
    const small = smallImage('6.12');
    const { memory, symbols } = await KernelImage.of(small.bytes, 'vmlinuz');
    expect(symbols.count).toBe(small.list.length);
    const bytes = Buffer.from(small.bytes);
    const third = Buffer.alloc(4);
    // The third marker: behind the first, 0, and the second.
    const offset = small.list
      .slice(0, 512)
      .reduce((sum, { name }) => sum + name.length + (name.length < 127 ? 2 : 3), 0);
    third.writeUInt32LE(offset);
    const at = bytes.lastIndexOf(third);
    expect(at).toBeGreaterThan(0);
    expect(memory.view.getUint32(at, true)).toBe(offset);
    bytes.writeUInt32LE(offset + 1, at);
    expect(await problemOf(bytes)).toMatch(/^malformed-image|^unusable-image/);
  });
});

describe('other facts', () => {
  test.for(LAYOUTS)('%s: exports with versions and namespaces, sites, banner and vermagic', async (layout) => {
    const small = smallImage(layout);
    const image = await KernelImage.of(small.bytes, 'vmlinuz');
    expect(image.exports).toEqual(
      exportsOf(small.list).map((name, i) => ({ name, crc: crcOf(i), gpl: false, namespace: namespaceOf(i) })),
    );
    expect(image.exports.length).toBe(40);
    expect(image.ftraceSites).toHaveLength(300);
    expect(image.ftraceSites![1]! - image.ftraceSites![0]!).toBe(32);
    expect(image.build).toMatchObject({
      release: '6.12.0-test',
      vermagic: VERMAGIC,
      banner: BANNER.trimEnd(),
      compiler: 'gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld 2.40',
    });
    expect(image.btf).toBeUndefined();
  });

  test('without CONFIG_MODVERSIONS exports have no versions', async () => {
    const image = await KernelImage.of(smallImage('6.12', { versions: false }).bytes, 'vmlinuz');
    expect(image.exports).toHaveLength(40);
    expect(new Set(image.exports.map(({ crc }) => crc))).toEqual(new Set([0]));
  });

  test('sites of a raw image are read in place, too, where its relocations are packed', async () => {
    const packed = await KernelImage.of(smallImage('6.12-arm64', { relr: true }).bytes, 'Image');
    const addends = await KernelImage.of(smallImage('6.12-arm64').bytes, 'Image');
    expect(packed.ftraceSites).toEqual(addends.ftraceSites);
  });

  test('an export that leads elsewhere than the list says is damage', async () => {
    const small = smallImage('6.12');
    const bytes = Buffer.from(small.bytes);
    const { memory, symbols } = await KernelImage.of(bytes, 'vmlinuz');
    const at = memory.locate(symbols.addressOf('__start___ksymtab')!, 4);
    bytes.writeInt32LE(bytes.readInt32LE(at) + 16, at);
    expect(await problemOf(bytes)).toMatch(/^malformed-image: .*export function_\d+ leads to where/);
  });
});

describe('wrappers', () => {
  const { bytes, list } = smallImage('6.12');
  const file = join(folder, 'kernel');
  writeFileSync(file, bytes);
  /** A stream as the tool that kbuild calls makes it; undefined without the tool. */
  const packed = (tool: string, ...args: string[]): Buffer | undefined =>
    spawnSync(tool, ['--version']).error === undefined
      ? execFileSync(tool, [...args, file], { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] })
      : undefined;
  const STREAMS: Array<[name: string, stream: Buffer | undefined]> = [
    ['zstd', packed('zstd', '-c', '-q')],
    ['lz4', packed('lz4', '-l', '-c', '-q')],
    ['xz with the branch filter', packed('xz', '-k', '-c', '--check=crc32', '--x86', '--lzma2=dict=1MiB')],
    ['xz', packed('xz', '-k', '-c')],
    ['xz in blocks', packed('xz', '-k', '-c', '--block-size=65536', '--check=sha256')],
    ['lzma', packed('xz', '-k', '-c', '--format=lzma')],
    ['bzip2', packed('bzip2', '-k', '-c')],
    ['lzo', packed('lzop', '-9', '-c')],
    ['lzo in one pass', packed('lzop', '-1', '-c', '--crc32')],
  ];

  test.for(STREAMS)(
    'a bzImage of %s gives the same list, whole and without its size word',
    async ([name, stream], context) => {
      if (stream === undefined) return context.skip('the tool that compresses it is not here');
      // The verifier, too, or says so: Debian's 6.1 is xz with the branch filter.
      const path = join(folder, 'for-verify');
      writeFileSync(path, bzImage(withSize(stream, bytes.length)));
      if (/^(?:zstd|lz4|xz)/.test(name)) expect((await readShipped(path))!.list).toHaveLength(list.length);
      else await expect(readShipped(path)).rejects.toMatchObject({ code: 'unusable-image' });
      const image = await KernelImage.of(bzImage(withSize(stream, bytes.length)), 'vmlinuz');
      expect(Buffer.from(image.memory.bytes)).toEqual(bytes);
      expect(image.symbols.count).toBe(list.length);
      const wrong = bzImage(withSize(stream, bytes.length - 1));
      expect(await problemOf(wrong)).toMatch(/^malformed-image: .*stream/);
      const cut = bzImage(withSize(stream.subarray(0, stream.length >> 1), bytes.length));
      expect(await problemOf(cut)).toMatch(/^malformed-image: .*damaged or cut short/);
    },
  );

  test('gzip around a bzImage, a zboot, an Image, and a vmlinux', async () => {
    const raw = smallImage('6.12-arm64').bytes;
    for (const [wrapped, wrappers] of [
      [bzImage(gzipped(bytes)), ['bzImage', 'gzip']],
      [gzipped(bytes), ['gzip']],
      [gzipped(raw), ['gzip', 'Image']],
      [zboot(gzipped(raw)), ['EFI zboot', 'gzip', 'Image']],
      [raw, ['Image']],
      [bytes, []],
    ] as Array<[Buffer, string[]]>) {
      const image = await KernelImage.of(wrapped, 'vmlinuz');
      expect(image.wrappers).toEqual(wrappers);
      expect(image.exports).toHaveLength(40);
    }
  });

  test('a signature behind a bzImage is nothing of it, and a second kernel there is refused', async () => {
    const one = bzImage(gzipped(bytes));
    const signature = Buffer.concat([Buffer.from('HdrS in a certificate'), Buffer.alloc(3000, 0x82)]);
    expect((await KernelImage.of(Buffer.concat([one, signature]), 'vmlinuz')).symbols.count).toBe(list.length);
    const two = /^unusable-image: .*two kernels lie in one file/;
    expect(await problemOf(Buffer.concat([one, one]))).toMatch(two);
    expect(await problemOf(Buffer.concat([one, Buffer.alloc(77), one]))).toMatch(two);
    // The verifier has a reader of its own.
    const path = join(folder, 'two');
    writeFileSync(path, Buffer.concat([one, signature]));
    expect((await readShipped(path))!.list).toHaveLength(list.length);
    writeFileSync(path, Buffer.concat([one, Buffer.alloc(77), one]));
    await expect(readShipped(path)).rejects.toThrow('two kernels lie in one file');
    // One behind the other within one stream, too, and as streams.
    expect(await problemOf(bzImage(gzipped(Buffer.concat([bytes, bytes]))))).toMatch(two);
    expect(await problemOf(Buffer.concat([gzipped(bytes), gzipped(bytes)]))).toMatch(two);
  });

  test('of an image of arm64 verify reads the same, in each form, wherever it was linked', async () => {
    const path = join(folder, 'arm64');
    const sitesOf = (found: ShippedKernel): Array<boolean | null> => {
      const kernel = Kernel.ofShipped(found, new Set(['function_2', 'function_3']));
      return ['function_2', 'function_3'].map((name) =>
        kernel.traceable(kernel.find('vmlinux', name)![0]!.address, 16),
      );
    };
    for (const options of [{}, { relr: true }]) {
      const small = smallImage('6.12-arm64', options);
      const raw = small.bytes;
      const image = await KernelImage.of(raw, path);
      for (const form of [raw, gzipped(raw), zboot(gzipped(raw))]) {
        writeFileSync(path, form);
        const shipped = (await readShipped(path))!;
        expect(shipped.list).toEqual(small.list.map(({ name, letter, address }) => ({ name, letter, address })));
        expect([shipped.vermagic, shipped.types]).toEqual([VERMAGIC, null]);
        expect([...shipped.exports].map(([name, found]) => ({ name, ...found }))).toEqual(image.exports);
        // Every other function has a site: absolute addresses, in place or as addends.
        expect(sitesOf(shipped)).toEqual([true, false]);
      }
      writeFileSync(path, raw.subarray(0, raw.length - 8));
      await expect(readShipped(path)).rejects.toThrow('cut short');
    }
  });

  test('cut short anywhere it is said, in each form', async () => {
    const raw = smallImage('6.12-arm64').bytes;
    for (const [name, whole] of Object.entries({
      bzImage: bzImage(gzipped(bytes)),
      'Image.gz': gzipped(raw),
      zboot: zboot(gzipped(raw)),
      vmlinux: bytes,
      'vmlinux.gz': gzipped(bytes),
      Image: raw,
    }))
      for (const share of [0.1, 0.3, 0.6, 0.9])
        expect(await problemOf(whole.subarray(0, Math.floor(whole.length * share))), `${name} ${share}`).toMatch(
          /^(?:malformed|unusable)-image: |^malformed-elf: /,
        );
  });

  test('what is no kernel is called what it is', async () => {
    const other = Buffer.from(bytes);
    other.writeUInt16LE(243, 18);
    const [riscv, arm] = [Buffer.alloc(600), Buffer.alloc(600)];
    riscv.write('MZ');
    riscv.write('RSC\x05', 0x38, 'latin1');
    arm.writeUInt32LE(0x016f2818, 0x24);
    const cases: Array<[Buffer, RegExp]> = [
      [bzImage(withSize(Buffer.from('894c5a4f000d0a1a', 'hex'), 64)), /^malformed-image: .*lzo stream cannot be read/],
      [Buffer.concat([Buffer.from('MZ'), Buffer.alloc(600)]), /^unusable-image: .*unified kernel image/],
      [riscv, /^unusable-image: .*RISC-V/],
      [arm, /^unusable-image: .*32-bit ARM/],
      [Buffer.from('Salted__12345678'), /^unusable-image: .*encrypted by openssl/],
      [
        bzImage(withSize(Buffer.alloc(64, 0x77), 64)),
        /^unusable-image: .*within bzImage.*encrypted or of another kind/,
      ],
      [Buffer.from('!<arch>\ndebian-binary'), /^unusable-image: .*Debian package/],
      [Buffer.from('d00dfeed00001000', 'hex'), /^unusable-image: .*FIT/],
      [Buffer.alloc(600, 0x5a), /^unusable-image: .*encrypted or of another kind/],
      [other, /^unusable-image: .*ELF machine 243/],
      [gzipped(gzipped(gzipped(gzipped(gzipped(bytes))))), /^unusable-image: .*wrapped 5 times/],
      [bzImage(gzipped(bytes)).subarray(0, 9000), /^malformed-image: .*cut short/],
    ];
    for (const [input, sentence] of cases) expect(await problemOf(input)).toMatch(sentence);
  });
});
