/**
 * What a module exports, by its own file: a livepatch of saa7164 imports `v4l2_device_register` of videodev, which the kernel's image does not have. The silent
 * failures: the version of another export, after which the kernel refuses the livepatch, and a namespace that is not asked for.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ElfObject } from '../../src/elf';
import { Symvers } from '../../src/kernel/symvers';
import { ShippedModule, moduleExports, symversText } from '../../src/kernel-image';
import { COMPILERS } from '../support/compiled';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

/** As <linux/export.h> and the module's own .mod.c make them. */
function exported(name: string, suffix: string, crc: string, namespace: string): string {
  return `
    int ${name}(int x) { return x + ${crc}; }
    asm(".section __ksymtab${suffix},\\"a\\"\\n .balign 4\\n .long ${name} - ., .Lname_${name} - ., .Lspace_${name} - .\\n"
        ".section __ksymtab_strings,\\"aMS\\",@progbits,1\\n .Lname_${name}: .asciz \\"${name}\\"\\n .Lspace_${name}: .asciz \\"${namespace}\\"\\n"
        ".section __kcrctab${suffix},\\"a\\"\\n .long ${crc}\\n .text");`;
}

const MODINFO = `
  __attribute__((section(".modinfo"), used, aligned(1))) static const char a[] = "license=GPL", b[] = "name=small_one",
    c[] = "vermagic=6.12.0-test SMP ";`;

function module(name: string, source: string): ShippedModule {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.c`), source);
  const flags = ['-O1', '-mcmodel=kernel', '-fno-pic', '-fno-pie', '-fno-toplevel-reorder'];
  execFileSync('gcc', [...flags, '-c', `${name}.c`, '-o', `${name}.ko`], { cwd: folder });
  return new ShippedModule(ElfObject.open(join(folder, `${name}.ko`)));
}

test('names, versions, licences and namespaces are those of its tables', (context) => {
  if (!COMPILERS.includes('gcc')) return context.skip('there is no gcc for x86-64 here');
  const source = [
    exported('first', '', '0x11111111', ''),
    exported('second', '_gpl', '0x9abcdef0', 'SPACE'),
    exported('third', '_gpl', '0x33333333', ''),
    MODINFO,
  ].join('\n');
  const found = moduleExports(module('exporting', source));
  expect(found).toEqual([
    { name: 'first', crc: 0x11111111, gpl: false, namespace: '' },
    { name: 'second', crc: 0x9abcdef0, gpl: true, namespace: 'SPACE' },
    { name: 'third', crc: 0x33333333, gpl: true, namespace: '' },
  ]);
  expect(Symvers.parse(symversText(found, 'small_one'), 'text').get('second')).toEqual({
    crc: 0x9abcdef0,
    owner: 'small_one',
    gpl: true,
    namespace: 'SPACE',
  });
});

test('one without exports has none, and one without versions has none of those', (context) => {
  if (!COMPILERS.includes('gcc')) return context.skip('there is no gcc for x86-64 here');
  expect(moduleExports(module('silent', `int f(int x) { return x; } ${MODINFO}`))).toEqual([]);
  const source = `${exported('first', '', '0x11111111', '').replace(/"\.section __kcrctab[^"]*\\"a\\"\\n \.long 0x11111111\\n/, '"')} ${MODINFO}`;
  expect(source).not.toContain('__kcrctab');
  expect(moduleExports(module('unversioned', source))).toEqual([{ name: 'first', crc: 0, gpl: false, namespace: '' }]);
});
