/**
 * LZO, by what lzop made of some text, and by lzop itself where it is: no package reads it. The silent failures: a copy from further away than a near one
 * can be, which only large kernels have, and a damaged block that is read as the kernel.
 */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { decompressLzo1x } from '../../src/kernel-image/unpack/lzo';
import { decompressLzop } from '../../src/kernel-image/unpack/lzop';
import { adler32, crc32, crc64 } from '../../src/files/crc';
import { Random } from '../../src/synth/random';

const LARGEST = 1 << 26;
/** `function_0 type_show function_1 type_show ...`, by lzop 1.04 -9. */
const TEXT = Array.from({ length: 40 }, (_, i) => `function_${i} type_show `).join('');
const PACKED = Buffer.from(
  'iUxaTwANChoKEEAgoAlAAwkDAAAJAACBpGsNHZgAAAAAAXY4RwQ7AAADZgAAALRXRUo4JmZ1bmN0aW9uXzAgdHlwZV9zaG93ICdRADEyUQAyMlEAMzJRADQyUQA1MlEA' +
    'NjJRADcyUQA4MlEAOTPwAjRIAzNNAzEzUQMxM1UDMTNZAzEzXQMxM2EDMTNlAzEzaQMxM20DMjNtAzI0vAYzbQMyM20DMjNtAzIzbQMyM20DMjNtAzIzbQMyM20DMzNtAzMz' +
    'bQMzNDAKM20DMzNtAzMzbQMzM20DMzNtAzMzbQMzKmwDEQAAAAAAAA==',
  'base64',
);
/** Where its one block's check and stream begin. */
const CHECK = PACKED.indexOf('00000366', 0, 'hex') + 8;

test('the text is what lzop packed', () => {
  expect(Buffer.from(decompressLzop(PACKED, undefined, LARGEST)).toString()).toBe(TEXT);
  expect(PACKED.readUInt32BE(CHECK - 8)).toBe(TEXT.length);
  expect(PACKED.readUInt32BE(CHECK)).toBe(adler32(Buffer.from(TEXT)));
});

test('each byte of it that is another is damage, or leaves the text as it is', () => {
  let refused = 0;
  for (let at = 9; at < PACKED.length; at++) {
    const bytes = Buffer.from(PACKED);
    bytes[at]! ^= 0x11;
    try {
      expect(Buffer.from(decompressLzop(bytes, TEXT.length, LARGEST)).toString()).toBe(TEXT);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
      refused++;
    }
  }
  // Mode, time and the header's own check are nobody's business here.
  expect(refused).toBeGreaterThan(PACKED.length - CHECK);
  for (let length = 0; length < PACKED.length; length++)
    expect(() => decompressLzop(PACKED.subarray(0, length), TEXT.length, LARGEST)).toThrow(RangeError);
});

test('copies from far away, long ones, and those that reach into themselves', (context) => {
  if (spawnSync('lzop', ['--version']).error !== undefined) return context.skip('lzop is not here');
  const random = new Random(5, 1);
  const noise = Buffer.from(Array.from({ length: 40_000 }, () => random.below(256)));
  const inputs: Buffer[] = [
    noise,
    // Distances of 1 to 3 KiB, over 16 KiB, over 32 KiB.
    Buffer.concat([noise.subarray(0, 2500), noise.subarray(0, 2500), noise, noise.subarray(100, 9000)]),
    Buffer.alloc(300_000),
    Buffer.from('ab'.repeat(5000) + 'abc'.repeat(5000)),
    Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i % 7 === 0 ? random.below(4) : i % 31))),
    Buffer.from('x'),
  ];
  for (const [i, input] of inputs.entries())
    for (const args of [['-1'], ['-9'], ['-3', '--crc32'], ['-9', '-F']]) {
      const { stdout, status } = spawnSync('lzop', [...args, '-c'], { input, maxBuffer: 1 << 26 });
      expect(status).toBe(0);
      expect(Buffer.from(decompressLzop(stdout, input.length, LARGEST)).equals(input), `${i} ${args.join(' ')}`).toBe(
        true,
      );
      if (input.length > 1) expect(() => decompressLzop(stdout, input.length - 1, LARGEST)).toThrow(RangeError);
    }
});

test('a stream that counts from before its start, or beyond its end, is refused', () => {
  const cases: Array<[stream: string, size: number, why: RegExp]> = [
    ['1241 40ff 110000', 9, /before the start/],
    ['15 41424344 40ff 110000', 9, /before the start/],
    ['15 41424344 110000', 3, /more than 3 bytes/],
    ['15 41424344 110000', 5, /4 bytes, not 5/],
    ['15 41424344 110000 00', 4, /behind the end/],
    ['15 41424344', 4, /ends within/],
    ['00 0000', 4000, /ends within/],
  ];
  for (const [stream, size, why] of cases)
    expect(() => decompressLzo1x(Buffer.from(stream.replaceAll(' ', ''), 'hex'), size)).toThrow(why);
  expect(Buffer.from(decompressLzo1x(Buffer.from('1541424344110000', 'hex'), 4)).toString()).toBe('ABCD');
});

test('the checks are those that everybody makes', () => {
  const bytes = Buffer.from('123456789');
  // The check values of the catalogue of CRCs (CRC-32/ISO-HDLC, CRC-64/XZ), and RFC 1950.
  expect(crc32(bytes)).toBe(0xcbf43926);
  expect(crc64(bytes)).toBe(0x995dc9bbdf1939fan);
  expect(adler32(bytes)).toBe(0x091e01de);
});
