/** What `make -n` prints of a unit, as Linux 6.12 words it: compiler and objtool, word by word. A unit whose objtool is not found has no seals, and works in no IBT kernel. */
import { expect, test } from 'vitest';
import { unitsOf } from '../../src/kbuild/units';

/** The line of one unit, shortened. */
const line = (object: string, source: string, defines: string, objtool: string): string =>
  [
    'set -e; exec >/dev/null',
    `  trap 'rm ${object}; trap - HUP; kill -s HUP $$' HUP`,
    ` gcc-12 -Wp,-MMD,.x.o.d -I./include -std=gnu11 ${defines} -c -o ${object} ${source}   `,
    ` ./tools/objtool/objtool --hacks=jump_label --ibt --orc ${objtool} ${object}`,
    ` scripts/basic/fixdep .x.o.d ${object} 'gcc-12 -c -o ${object} ${source}' > .x.o.cmd`,
  ].join(';');

test('a unit of vmlinux and one of a module', () => {
  const units = unitsOf(
    [
      line('fs/open.o', 'fs/open.c', `-DKBUILD_MODNAME='"open"'`, ''),
      line('fs/xfs/xfs_log.o', 'fs/xfs/xfs_log.c', `-DMODULE -DKBUILD_MODNAME='"xfs"'`, '--module'),
      'make -f ./scripts/Makefile.build obj=fs/xfs',
    ].join('\n'),
  );
  expect([...units.keys()]).toEqual(['fs/open.c', 'fs/xfs/xfs_log.c']);
  expect(units.get('fs/open.c')).toMatchObject({
    object: 'fs/open.o',
    owners: ['vmlinux'],
    objtool: ['./tools/objtool/objtool', '--hacks=jump_label', '--ibt', '--orc'],
  });
  expect(units.get('fs/xfs/xfs_log.c')).toMatchObject({
    owners: ['xfs'],
    compile: expect.arrayContaining(['gcc-12', '-DKBUILD_MODNAME="xfs"', 'fs/xfs/xfs_log.c']),
    objtool: expect.arrayContaining(['--module']),
  });
});

test('a unit that is compiled from another folder has the path of its own, and its objtool', () => {
  const written = 'drivers/gpu/drm/amd/amdgpu/../display/dc/core/dc';
  const units = unitsOf(line(`${written}.o`, `${written}.c`, '-DMODULE -DKBUILD_MODNAME=\'"amdgpu"\'', '--module'));
  expect(units.get('drivers/gpu/drm/amd/display/dc/core/dc.c')).toMatchObject({
    object: 'drivers/gpu/drm/amd/display/dc/core/dc.o',
    owners: ['amdgpu'],
    objtool: expect.arrayContaining(['--module']),
  });
});

test('a unit on which the build runs no objtool has none', () => {
  const [compile] = line('lib/x.o', 'lib/x.c', '', '').split(' ./tools/objtool');
  expect(unitsOf(compile!).get('lib/x.c')).toMatchObject({ objtool: null });
});
