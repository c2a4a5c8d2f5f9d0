/**
 * Facts of a kernel out of its own object. A wrong one is seen late or never: an ORC word of another release makes every stack
 * through the module unreliable without a message, a wrong kCFI hash kills the loading task.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { KlpflowError } from '../../src/diagnostics';
import { ElfObject } from '../../src/elf';
import { platformFacts } from '../../src/livepatch/facts';
import type { PlatformFacts } from '../../src/livepatch/object';
import { KERNELS, pairsOf, skipWithout, unavailable, unpack } from '../support/corpus';
import { ENDBR, RETURN, code, hex, object, ptr64, ref32, type ObjectBuilder } from '../support/elf-builder';
import { mutate } from '../support/mutate';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

function factsOf(builder: ObjectBuilder | Buffer): PlatformFacts {
  const path = join(folder, 'facts.o');
  writeFileSync(path, Buffer.isBuffer(builder) ? builder : builder.bytes());
  return platformFacts(ElfObject.open(path));
}

/** `__cfi_F` as Clang and objtool leave it: the hash, then NOPs up to 16 bytes. */
function withPreamble(builder: ObjectBuilder, name: string, hash: string, section = `.text.${name}`): ObjectBuilder {
  return builder
    .func(`__cfi_${name}`, code(0xb8, hex(hash), new Uint8Array(11).fill(0x90)), { section, align: 16 })
    .func(name, code(ENDBR, RETURN), { section, align: 1 });
}

/** A kernel with what x86-64 kernels of this decade have. */
function modern(): ObjectBuilder {
  const built = object()
    .file('main.c')
    .rodata('vermagic', Buffer.from('6.12.0 SMP preempt mod_unload modversions \0'), { bind: 'local' });
  for (const name of ['one', 'two', 'three']) {
    built.padded(name, code(ENDBR, RETURN));
    built
      .special('.return_sites', ref32(name, 4))
      .special('.ibt_endbr_seal', ref32(name))
      .special('.retpoline_sites', ref32(name));
    built
      .special('.orc_unwind_ip', ref32(`__pfx_${name}`))
      .special('.orc_unwind', hex(name === 'two' ? '080000000101' : '080000000502'));
    built.special('.orc_unwind_ip', ref32(name, 9)).special('.orc_unwind', hex('000000000000'));
  }
  return built;
}

describe('facts of real kernels', () => {
  const ORC = { 'linux-7.2-thinlto': '080000000302', 'debian-6.12-gcc': '080000000502' };
  const RELEASE = { 'linux-7.2-thinlto': '7.2.13', 'debian-6.12-gcc': '6.12.117' };
  for (const kernel of KERNELS) {
    test(kernel, (context) => {
      skipWithout(context, unavailable(kernel, true));
      const { orig } = unpack(kernel, pairsOf(kernel)[0]!);
      expect(platformFacts(ElfObject.open(orig))).toEqual({
        // The space at the end counts: the kernel compares to the last byte.
        vermagic: `${RELEASE[kernel]} SMP preempt mod_unload modversions `,
        prefixBytes: 16,
        functionAlign: 16,
        ibt: true,
        returns: 'thunk',
        kcfi: null,
        orcAtStart: ORC[kernel],
        retpoline: true,
        kobjectRelease: false,
      });
    });
  }
});

describe('facts of made kernels', () => {
  test('the ORC word is that of most prefixes, terminators do not count', () => {
    expect(factsOf(modern())).toEqual({
      vermagic: '6.12.0 SMP preempt mod_unload modversions ',
      prefixBytes: 16,
      functionAlign: 16,
      ibt: true,
      returns: 'thunk',
      kcfi: null,
      orcAtStart: '080000000502',
      retpoline: true,
      kobjectRelease: false,
    });
  });

  test('a kernel without any of it', () => {
    const plain = object().file('a.c').func('one', hex('90 c3')).func('two', hex('31 c0 c3'));
    expect(factsOf(plain)).toEqual({
      vermagic: null,
      prefixBytes: 0,
      functionAlign: 16,
      ibt: false,
      returns: 'ret',
      kcfi: null,
      orcAtStart: null,
      retpoline: false,
      kobjectRelease: false,
    });
  });

  test('int3 behind each ret is copied, and functions that end otherwise do not vote', () => {
    const guarded = object()
      .file('a.c')
      .func('one', hex('90 c3 cc'))
      .func('two', hex('c3 cc'))
      .func('three', hex('0f 0b'))
      .func('four', hex('c3'));
    expect(factsOf(guarded).returns).toBe('ret-int3');
  });

  test('kobject_delayed_cleanup tells of larger kobjects', () => {
    // klp_func arrays laid out for the smaller ones would be walked with the wrong stride.
    expect(factsOf(modern().func('kobject_delayed_cleanup', hex('c3'), { bind: 'local' })).kobjectRelease).toBe(true);
  });

  test('seals without ENDBR at functions are no IBT', () => {
    const odd = object().file('a.c').func('one', hex('90 90 90 90 c3')).special('.ibt_endbr_seal', ref32('one'));
    expect(factsOf(odd).ibt).toBe(false);
  });

  test('kCFI hashes come from an initcall and an exit call', () => {
    const built = object().file('a.c');
    withPreamble(built, 'start', '11 22 33 44', '.init.text');
    withPreamble(built, 'stop', '55 66 77 88', '.exit.text');
    withPreamble(built, 'other', '99 99 99 99');
    built
      .section('.initcall6.init')
      .special('.initcall6.init', ref32('start'))
      .special('.exitcall.exit', ptr64('stop'))
      .special('.cfi_sites', ref32('__cfi_start'));
    expect(factsOf(built).kcfi).toEqual({ init: 0x44332211, exit: 0x88776655 });
  });

  test('kCFI without a donor, or with two that disagree, is said', () => {
    // A guessed hash traps at the first indirect call, which is the one to init_module.
    const lacking = withPreamble(object().file('a.c'), 'start', '11 22 33 44', '.init.text').special(
      '.initcall6.init',
      ref32('start'),
    );
    expect(factsOf(lacking).kcfi).toBe('no-donor');
    const disagreeing = object().file('a.c');
    for (const [name, hash] of [
      ['a', '01 00 00 00'],
      ['b', '02 00 00 00'],
      ['stop', '03 00 00 00'],
    ] as const)
      withPreamble(disagreeing, name, hash);
    disagreeing
      .special('.initcall6.init', ref32('a'))
      .special('.initcall6.init', ref32('b'))
      .special('.exitcall.exit', ptr64('stop'));
    expect(factsOf(disagreeing).kcfi).toBe('disagreement');
  });

  test('a vermagic that does not end within its section is none', () => {
    const cut = object().file('a.c').rodata('vermagic', Buffer.from('6.12.0 SMP'), { bind: 'local' });
    expect(factsOf(cut).vermagic).toBeNull();
  });

  test('damaged objects give facts or a typed error', () => {
    const whole = modern().bytes();
    let typed = 0;
    for (let seed = 0; seed < 1500; seed++) {
      const { bytes, done } = mutate(whole, seed);
      try {
        expect(factsOf(bytes).prefixBytes).not.toBeNaN();
      } catch (error) {
        expect(error, `seed ${seed}: ${done.join('; ')}`).toBeInstanceOf(KlpflowError);
        typed++;
      }
    }
    expect(typed).toBeGreaterThan(100);
  });
});
