import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ElfObject } from '../../../src/elf';
import { EM_PPC64 } from '../../../src/elf/constants';
import type { Changes } from '../../../src/synth';
import { code, object, relocated, u32 } from '../elf-builder';
import { btf } from '../livepatch-module';
import { STRUCTS, SYMVERS, templateOf } from '../target-kernel';
import { smallPair, type SmallPair } from '../small-pair';

/** Files of a kernel that fit a small pair: from these `diff -o` makes an object or a module. */
export interface SmallKernel extends SmallPair {
  symvers: string;
  /** A text as of /proc/kallsyms. */
  listing: string;
  btf: string;
  template: string;
}

/** All of it can go into a livepatch. */
const CHANGES: Changes = { immediates: 2, callTargets: 1, strings: 1, instructions: 1, newFunctions: 1 };

/** A synthetic pair with exports, a listing, kernel types and a module of its kernel. The same bytes every time. */
export async function smallKernel(folder: string, functions = 60): Promise<SmallKernel> {
  mkdirSync(folder, { recursive: true });
  const pair = await smallPair(folder, functions, CHANGES);
  const object = ElfObject.open(pair.orig);
  const names = [
    ...new Set(
      Array.from({ length: object.symbolCount }, (_, symbol) => object.symbolName(symbol)).filter((name) =>
        /^[A-Za-z_]/.test(name),
      ),
    ),
  ];
  const at = (name: string): string => join(folder, name);
  writeFileSync(at('kallsyms'), listingOf(names));
  writeFileSync(at('Module.symvers'), SYMVERS + exportsOf(['__fentry__']));
  writeFileSync(at('types.btf'), kernelTypes());
  templateOf(folder);
  return {
    ...pair,
    symvers: at('Module.symvers'),
    listing: at('kallsyms'),
    btf: at('types.btf'),
    template: at('template.ko'),
  };
}

/** Raw BTF of the structs that the small kernel has. */
export function kernelTypes(): Buffer {
  return btf(
    Object.fromEntries(
      Object.entries(STRUCTS).map(([name, { size, offsets }]) => [name, { size, members: { ...offsets } }]),
    ),
  );
}

export function listingOf(names: readonly string[]): string {
  return ['_stext', ...names]
    .map((name, i) => `${(0xffffffff81000000n + BigInt(i) * 64n).toString(16)} T ${name}\n`)
    .join('');
}

export function exportsOf(names: readonly string[]): string {
  return names.map((name, i) => `0x${(0x10000001 + i).toString(16)}\t${name}\tvmlinux\tEXPORT_SYMBOL_GPL\t\n`).join('');
}

/** Units of kpatch's public corpus with no more than 64 KiB an object, of every processor that has some. */
export interface Unit {
  name: string;
  orig: Buffer;
  patched: Buffer;
}

/** One of another processor, whose extract ends before a module is made; kpatch's corpus has more. */
export function ppc64Unit(): Unit {
  const [rel24, addr64] = [10, 38];
  const build = (value: number): Buffer =>
    Buffer.from(
      object({ machine: EM_PPC64 })
        .file('x.c')
        .section('.toc', { align: 8, body: [relocated(8, addr64, 'state')] })
        .data('state', [u32(1)], { bind: 'global' })
        .func('get', code(u32(0x38600000 + value), u32(0x4e800020)), { bind: 'global' })
        .func(
          'use',
          code(
            relocated(4, rel24, 'get', 0, 0x48000001),
            relocated(4, rel24, 'outside', 0, 0x48000001),
            u32(0x4e800020),
          ),
          { bind: 'global' },
        )
        .undef('outside')
        .bytes(),
    );
  return { name: 'ppc64', orig: build(1), patched: build(2) };
}

const LARGEST_UNIT = 64 * 1024;

export function unitsIn(folder: string): Unit[] {
  const units: Unit[] = [];
  for (const arch of existsSync(folder) ? readdirSync(folder).sort() : []) {
    for (const name of readdirSync(join(folder, arch)).sort()) {
      if (!name.endsWith('.ORIG.o')) continue;
      const stem = join(folder, arch, name.slice(0, -'.ORIG.o'.length));
      const patched = [`${stem}.PATCHED.o`, `${stem}.PATCHED-FAIL.o`].find((path) => existsSync(path));
      if (patched === undefined) continue;
      const [a, b] = [readFileSync(`${stem}.ORIG.o`), readFileSync(patched)];
      if (Math.max(a.length, b.length) > LARGEST_UNIT) continue;
      units.push({ name: `${arch}/${name.slice(0, -'.ORIG.o'.length)}`, orig: a, patched: b });
    }
  }
  return units;
}
