/** The module that tells a kernel's layouts where its image has no types. What this guards against: a module of another kernel, or a livepatch, taken for one of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { modulePath } from '../../src/kbuild/module-file';
import { templateOf } from '../../src/kbuild/template';
import type { ImageFacts } from '../../src/pipeline/types';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const modules = join(folder, 'modules/fs');
mkdirSync(modules, { recursive: true });

function module(name: string, release: string, more = ''): void {
  writeFileSync(join(modules, `${name}.ko`), `\0name=${name}\0${more}vermagic=${release} SMP \0`);
}

const asked = (types: ImageFacts['types']): Promise<string | undefined> =>
  templateOf(
    { image: { path: 'vmlinuz', facts: { types } as ImageFacts }, modules: join(folder, 'modules'), release: '6.12.1' },
    folder,
  );

test('is of this very kernel and no livepatch, and asked for only where the image has no types', async () => {
  module('a_livepatch', '6.12.1', 'livepatch=Y\0');
  module('b_other', '6.12.10');
  expect(await asked(null)).toBeUndefined();
  module('c_right', '6.12.1');
  expect(readFileSync((await asked(null))!, 'latin1')).toContain('name=c_right');
  expect(await asked({ path: join(folder, 'btf') } as ImageFacts['types'])).toBeUndefined();
});

test('a module is made where its shipped file says, whatever it is packed in', () => {
  const shipped = join(folder, 'shipped');
  for (const path of ['kernel/fs/xfs/xfs.ko.xz', 'kernel/arch/x86/kvm/kvm-intel.ko']) {
    mkdirSync(join(shipped, dirname(path)), { recursive: true });
    writeFileSync(join(shipped, path), '');
  }
  expect(modulePath({ modules: shipped }, 'xfs')).toBe('fs/xfs/xfs');
  expect(modulePath({ modules: shipped }, 'kvm_intel')).toBe('arch/x86/kvm/kvm-intel');
  expect(modulePath({ modules: shipped }, 'btrfs')).toBeUndefined();
});
