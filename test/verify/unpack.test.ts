/**
 * Compressed files, by the verifier's own decoders: they give what was packed, as those of the rest do, and damage is told. The silent failure: a decoder that the
 * verifier shares makes the same mistake on both sides.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { plainBytes } from '../../src/kernel-image';
import { PlainFiles } from '../../src/verify/shipped/plain-files';
import { unpackLz4 } from '../../src/verify/shipped/lz4';
import { unpacked } from '../../src/verify/shipped/unpack';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
// Code, which .xz's branch filter changes, repetitions over more than one block of LZ4, and noise.
const code = readFileSync(process.execPath).subarray(0, 300_000);
const INPUT = Buffer.concat([
  code,
  Buffer.alloc(300_000),
  code.subarray(1000, 200_000),
  Buffer.from('ab'.repeat(4_500_000)),
  code,
]);

const PACKERS: string[][] = [
  ['gzip', '-c'],
  ['zstd', '-c', '-q'],
  ['zstd', '-c', '-q', '-9', '--check'],
  ['xz', '-c', '-0', '--check=crc32'],
  ['xz', '-c', '--check=crc64', '--x86', '--lzma2=preset=0'],
  ['lz4', '-c', '-l', '-q'],
  ['lz4', '-c', '-l', '-q', '-9'],
];

test.each(PACKERS)('%s %s %s %s %s', { timeout: 60_000 }, async (...words: Array<string | undefined>) => {
  const [program = '', ...options] = words.filter((word) => word !== undefined);
  const { stdout: packed, status, error } = spawnSync(program, options, { input: INPUT, maxBuffer: 1 << 28 });
  if (error !== undefined) return;
  expect(status).toBe(0);
  expect(packed.length).toBeLessThan(INPUT.length);
  const own = await unpacked(packed, 'x', INPUT.length);
  expect(INPUT.equals(own!)).toBe(true);
  expect(INPUT.equals((await unpacked(packed, 'x'))!)).toBe(true);
  expect(INPUT.equals(await plainBytes(packed, 'x'))).toBe(true);
  const cut = unpacked(packed.subarray(0, packed.length - 900), 'x', INPUT.length);
  await expect(cut).rejects.toThrow('x: what is compressed in it is damaged or cut short');
  await expect(cut).rejects.toBeInstanceOf(KlpflowError);
});

test('gzip: one byte that is another is told by its checksum', async () => {
  const text = Buffer.from(
    Array.from({ length: 3000 }, (_, i) => `0x${i.toString(16)}\tsymbol_${i}\tvmlinux\n`).join(''),
  );
  // Stored as it is: every other byte still decodes.
  const packed = gzipSync(text, { level: 0 });
  expect(text.equals((await unpacked(packed, 'x'))!)).toBe(true);
  packed[packed.length >> 1]! ^= 1;
  await expect(unpacked(packed, 'x')).rejects.toThrow('damaged');
});

test('LZ4: what is damaged is refused, or as long as it was, and never runs beyond its block', () => {
  // Literals `abcd`, a copy of 8 from 4 before, literals `xyz!!`.
  const block = Buffer.from('4461626364040050' + '78797a2121', 'hex');
  const stream = (bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([2, 0x21, 0x4c, 0x18, bytes.length, 0, 0, 0]), bytes]);
  expect(Buffer.from(unpackLz4(stream(block), 17)).toString()).toBe('abcdabcdabcdxyz!!');
  expect(() => unpackLz4(stream(block), 16)).toThrow(RangeError);
  expect(() => unpackLz4(stream(block).subarray(0, -1), 17)).toThrow(RangeError);
  for (const [at, byte] of [
    [5, 0],
    [5, 5],
    [0, 0xf4],
    [7, 0xf0],
  ] as const) {
    const damaged = Buffer.from(block);
    damaged[at] = byte;
    expect(() => unpackLz4(stream(damaged), 17), `${at}: ${byte}`).toThrow(RangeError);
  }
  // A block has nothing of the one before.
  const two = Buffer.concat([stream(block), Buffer.from('05000000' + '0004000141', 'hex')]);
  expect(() => unpackLz4(two, 100)).toThrow(RangeError);
});

test("a compressed list or module is read from a file of the verifier's own, which is gone afterwards", async () => {
  const before = new Set(readdirSync(tmpdir()));
  const files = new PlainFiles();
  const path = join(mkdtempSync(join(folder, 'list-')), 'System.map.gz');
  writeFileSync(path, spawnSync('gzip', ['-c'], { input: 'ffffffff81000000 T _stext\n' }).stdout);
  const plain = await files.of(path);
  expect(readFileSync(plain!, 'latin1')).toBe('ffffffff81000000 T _stext\n');
  expect(await files.of(join(folder, 'nothing.gz'))).toBeUndefined();
  expect(await files.of(plain!)).toBeUndefined();
  files.remove();
  expect(existsSync(plain!)).toBe(false);
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith('klpflow-verify-') && !before.has(name))).toEqual([]);
});
