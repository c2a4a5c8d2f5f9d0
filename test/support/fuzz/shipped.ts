import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { ShippedModule, plainBytes } from '../../../src/kernel-image';
import { KernelListing } from '../../../src/kernel/listing';
import { Random } from '../../../src/synth/random';
import { readTable } from '../../../src/stages/scan';
import { Side } from '../../../src/stages/side/side';
import { KernelCode, Placement, census } from '../../../src/stages/running-kernel/image';
import {
  ENDBR,
  FTRACE_NOP,
  RETURN,
  code,
  disp32,
  hex,
  object,
  plt32,
  ptr64,
  u64,
  type ObjectBuilder,
} from '../elf-builder';
import { mutateWords } from './mutate-words';
import { damaged } from './mutate-within';
import { ELF_CODES, checkResult, opened, type Subject } from './outcome';

const MODINFO = 'license=GPL\0name=small_one\0vermagic=6.12.0 SMP mod_unload \0';

function unit(): ObjectBuilder {
  return object()
    .file('a.c')
    .func('helper', code(hex('b8 01 00 00 00'), RETURN), { bind: 'local' })
    .func(
      'f',
      code(
        ENDBR,
        FTRACE_NOP,
        0xe8,
        plt32('helper'),
        0xe8,
        plt32('kernel_call'),
        hex('48 8b 05'),
        disp32('state'),
        RETURN,
      ),
    )
    .func('g', code(ENDBR, FTRACE_NOP, hex('48 8d 3d'), disp32({ string: 'message' }), 0xe8, plt32('f'), RETURN))
    .rodata('table', [ptr64('f'), ptr64('g'), u64(7)])
    .data('state', [ptr64('table'), u64(4)], { bind: 'local' });
}

/** A module's finished file, plain and compressed as distributions ship it, as the image of what runs. */
export function shippedSubject(): Subject {
  const orig = unit().bytes();
  const whole = unit()
    .section('.modinfo', { body: Buffer.from(MODINFO) })
    .special('__mcount_loc', ptr64('f', 4), ptr64('g', 4))
    .bytes();
  const packed: Array<[name: string, file: Buffer]> = [['gzip', gzipSync(whole)]];
  for (const [tool, ...args] of [
    ['xz', '-c', '--check=crc32'],
    ['zstd', '-c', '-q'],
  ]) {
    const { stdout, status } = spawnSync(tool!, args, { input: whole, maxBuffer: 1 << 26 });
    if (status === 0) packed.push([tool!, stdout]);
  }
  return {
    codes: new Set([...ELF_CODES, 'not-a-module', 'malformed-image']),
    mutant(seed) {
      const compressed = seed % 3 === 0;
      const [name, file] = new Random(seed, 0x5a).pick(packed);
      const { bytes, done } = compressed ? mutateWords(file, seed) : damaged(whole, seed);
      return {
        done: [compressed ? name : 'plain', ...done],
        async run() {
          const module = new ShippedModule(opened(await plainBytes(bytes, 'small-one.ko'), 'small-one.ko'));
          const listing = KernelListing.ofModule(module.columns, module.path);
          const kernel = new KernelCode(listing, module, module.sites, module.imports);
          const own = opened(orig, 'orig.o');
          const side = new Side(own, readTable(own));
          const sections = Placement.codeSections(side);
          const { differences, functions } = new Placement(side, kernel).settle(sections, true);
          const counts = census(side, kernel, sections);
          checkResult([counts, functions, differences, [...(module.sites ?? [])]]);
          return counts.equal === counts.functions ? 'the-module' : 'another';
        },
      };
    },
  };
}
