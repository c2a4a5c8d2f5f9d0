/**
 * Type hashes of kCFI. The kernel calls a module's init function through a pointer and checks its type: a hash that is wrong kills the task that
 * loads the livepatch, and a preamble that is not recognised is left behind.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import xxhash from 'xxhash-wasm';
import { EM_X86_64, ElfObject } from '../../src/elf';
import { COMPUTED, preambleHash, typeChecks } from '../../src/kernel/kcfi';
import { platformFacts } from '../../src/livepatch/facts';
import type { PlatformFacts } from '../../src/livepatch/object';
import { COMPILERS, compiled } from '../support/compiled';
import { hex } from '../support/elf-builder';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const CLANGS = COMPILERS.filter((name) => name.startsWith('clang'));
const ARITY = CLANGS.filter((name) => name === 'clang-22');
const KCFI = ['-fsanitize=kcfi', '-fpatchable-function-entry=11,11', '-mretpoline-external-thunk'];
const NORMALISED = '-fsanitize-cfi-icall-experimental-normalize-integers';

/** Callers as kernels have them, and nothing of the types themselves. */
const CALLERS = `
int do_one_initcall(int (*fn)(void)) { return fn() + 1; }
struct module { void (*exit)(void); long (*ioctl)(int, long); };
long __se_sys_delete_module(struct module *mod) { long r = mod->ioctl(1, 2); if (mod->exit) mod->exit(); return r; }`;
/** Functions of both types. */
const TYPED = `
int counter; int start(void) { return counter; } void stop(void) { counter = 0; }`;

function factsOf(bytes: Uint8Array): PlatformFacts {
  const path = join(folder, 'unit.o');
  writeFileSync(path, bytes);
  return platformFacts(ElfObject.open(path));
}

/** The same bytes with one hash in the place of another, each of which stands there once or more. */
function exchanged(bytes: Buffer, hash: number, other: number): Buffer {
  const copy = Buffer.from(bytes);
  const [from, to] = [Buffer.alloc(4), Buffer.alloc(4)];
  from.writeUInt32LE(hash >>> 0);
  to.writeUInt32LE(other >>> 0);
  expect(copy.includes(from)).toBe(true);
  for (let at = copy.indexOf(from); at >= 0; at = copy.indexOf(from, at + 1)) to.copy(copy, at);
  return copy;
}

test('the computed hashes are xxHash64 of the mangled types', async () => {
  const { h64 } = await xxhash();
  const low = (name: string): number => Number(h64(name) & 0xffffffffn);
  expect(COMPUTED).toEqual({
    plain: { init: low('_ZTSFivE'), exit: low('_ZTSFvvE') },
    normalised: { init: low('_ZTSFu3i32vE.normalized'), exit: low('_ZTSFvvE.normalized') },
  });
});

test('a check is told from an ordinary constant in %r10d', () => {
  // mov $-1, %r10d; add -15(%r11), %r10d. With the callee in %r10: mov $-2, %r11d; add -15(%r10), %r11d.
  expect(typeChecks(EM_X86_64, hex('90 41 ba ff ff ff ff 45 03 53 f1 74 02 0f 0b'))).toEqual([{ offset: 1, hash: 1 }]);
  expect(typeChecks(EM_X86_64, hex('41 bb fe ff ff ff 45 03 5a f1'))).toEqual([{ offset: 0, hash: 2 }]);
  expect(typeChecks(EM_X86_64, hex('41 ba ff ff ff ff 45 03 5b f1'))).toEqual([]);
  expect(typeChecks(EM_X86_64, hex('41 ba ff ff ff ff 45 89 d3 90'))).toEqual([]);
  expect(typeChecks(EM_X86_64, hex('41 ba ff ff ff ff 45 03 53'))).toEqual([]);
});

describe.each(CLANGS.length === 0 ? ['none'] : CLANGS)('%s', (compiler) => {
  beforeEach((context) => context.skip(CLANGS.length === 0, 'no clang here'));
  const flags = (way: string): string[] => [...KCFI, ...(way === 'normalised' ? [NORMALISED] : [])];

  test.each(['plain', 'normalised'] as const)('%s hashes are those that it compiles', (way) => {
    const { kcfi, prefixBytes } = factsOf(compiled(compiler, TYPED, ...flags(way)));
    expect(kcfi).toEqual(COMPUTED[way]);
    // Five bytes of the preamble, and the NOPs behind it, which have no name before objtool.
    expect(prefixBytes).toBe(16);
  });

  // CONFIG_CFI without CONFIG_CALL_PADDING: what is called looks right before the function, where the first bytes of its padding are NOPs.
  test('where there is no room for tracing the hash is found at the end of the padding', () => {
    const bare = KCFI.filter((flag) => !flag.startsWith('-fpatchable'));
    expect(bare).not.toEqual(KCFI);
    expect(factsOf(compiled(compiler, TYPED, ...bare)).kcfi).toEqual({ ...COMPUTED.plain, at: 11 });
  });

  // A ThinLTO kernel has initcalls without preambles and no exit calls: only callers show what they look for.
  test.each(['plain', 'normalised'] as const)(
    '%s hashes come from the calls of initcalls and exit functions',
    (way) => {
      const whole = compiled(compiler, CALLERS + TYPED, ...flags(way));
      expect(factsOf(whole).kcfi).toEqual(COMPUTED[way]);
      // A loader that looks for another type than the compiler's functions have is a kernel that we do not understand.
      for (const type of ['init', 'exit'] as const)
        expect(factsOf(exchanged(whole, -COMPUTED[way][type], 12345)).kcfi, type).toBe('disagreement');
      // Of a unit without functions of these types the callers speak alone, where they have one thing to say.
      expect(factsOf(compiled(compiler, CALLERS, ...flags(way))).kcfi).toBe('no-donor');
      const alone = CALLERS.replace('long r = mod->ioctl(1, 2);', 'long r = 0;');
      expect(factsOf(compiled(compiler, alone, ...flags(way))).kcfi).toEqual(COMPUTED[way]);
    },
  );
});

test('without kCFI there is nothing to know', (context) => {
  context.skip(CLANGS.length === 0, 'no clang here');
  expect(factsOf(compiled(CLANGS[0]!, CALLERS + TYPED)).kcfi).toBeNull();
});

describe('clang-22', () => {
  test('with arity every register of a preamble is one', (context) => {
    context.skip(ARITY.length === 0, 'no clang-22 here');
    const source = `long sink; void none(void) { sink = 1; } void one(long a) { sink = a; } void two(long a, long b) { sink = a + b; }
void three(long a, long b, long c) { sink = a + b + c; } void four(long a, long b, long c, long d) { sink = a + b + c + d; }
void five(long a, long b, long c, long d, long e) { sink = a + b + c + d + e; }
void six(long a, long b, long c, long d, long e, long f) { sink = a + b + c + d + e + f; }
void stack(long a, long b, long c, long d, long e, long f, long g) { sink = a + b + c + d + e + f + g; }`;
    const path = join(folder, 'arity.o');
    writeFileSync(path, compiled('clang-22', source, ...KCFI, '-Xclang', '-fsanitize-kcfi-arity'));
    const object = ElfObject.open(path);
    const opcodes: number[] = [];
    for (let section = 1; section < object.sectionCount; section++) {
      if (!object.name(section).startsWith('.text.')) continue;
      expect(preambleHash(object.content(section), 0), object.name(section)).toBeTypeOf('number');
      opcodes.push(object.content(section)[0]!);
    }
    expect(opcodes.sort()).toEqual([0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf]);
  });

  // -fsanitize-kcfi-hash: a kernel may be built with another hash than the one that we can compute.
  test('another hash function is learned from callers', (context) => {
    context.skip(ARITY.length === 0, 'no clang-22 here');
    const alone = CALLERS.replace('long r = mod->ioctl(1, 2);', 'long r = 0;');
    const { kcfi } = factsOf(compiled('clang-22', alone + TYPED, ...KCFI, '-Xclang', '-fsanitize-kcfi-hash=FNV-1a'));
    expect(kcfi).toBeTypeOf('object');
    for (const way of Object.values(COMPUTED)) expect(kcfi).not.toEqual(way);
  });
});
