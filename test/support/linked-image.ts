import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ObjectBuilder } from './elf-builder';

/** A kernel-like layout: sections of one kind in the order of the objects, as vmlinux.lds has them. */
export const KERNEL_SCRIPT = `SECTIONS {
  . = 0xffffffff81000000;
  .text : { _stext = .; *(.text .text.*) }
  .rodata : { *(.rodata .rodata.*) }
  .data : { *(.data .data.*) }
  .bss : { *(.bss .bss.*) }
  .init.text : { *(.init.text) }
  .klp.symid 0 : { *(.klp.symid) }
  /DISCARD/ : { *(.discard.*) *(.modinfo) }
}
`;

let serial = 0;

/** Links objects with binutils' ld, as a kernel's last step does, and returns the image's path. @throws with the linker's words */
export function linkImage(
  folder: string,
  objects: ReadonlyArray<ObjectBuilder | string>,
  script = KERNEL_SCRIPT,
): string {
  const base = join(folder, `image-${serial++}`);
  const inputs = objects.map((object, i) => {
    if (typeof object === 'string') return object;
    writeFileSync(`${base}-${i}.o`, object.bytes());
    return `${base}-${i}.o`;
  });
  writeFileSync(`${base}.lds`, script);
  // --no-relax and -z norelro: what is compared is code and symbols, not the linker's own ideas.
  execFileSync(
    'ld',
    [
      '-T',
      `${base}.lds`,
      '-e',
      '_stext',
      '--unresolved-symbols=ignore-all',
      '-z',
      'noexecstack',
      '--no-warn-rwx-segments',
      '-o',
      base,
      ...inputs,
    ],
    { encoding: 'utf8', stdio: 'pipe' },
  );
  return base;
}

/** The relocatable object that `ld -r` makes of several. */
export function linkObject(folder: string, objects: readonly ObjectBuilder[]): string {
  const base = join(folder, `object-${serial++}`);
  const inputs = objects.map((object, i) => {
    writeFileSync(`${base}-${i}.o`, object.bytes());
    return `${base}-${i}.o`;
  });
  execFileSync('ld', ['-r', '-o', `${base}.o`, ...inputs], { encoding: 'utf8', stdio: 'pipe' });
  return `${base}.o`;
}
