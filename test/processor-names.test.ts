/**
 * What differs by processor stands in src/arch, in tables with a row a processor, and in verify, which knows by itself. A condition on a processor anywhere
 * else is one that the next processor's author does not find: the walk goes on, and is wrong for it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sources } from './support/imports';

const root = join(__dirname, '..');

/** Names of processors, of their numbers and relocations, and of folders of the kernel's sources. */
const PROCESSOR =
  /\bEM_[A-Z]\w+|\bR_(?:X86_64|AARCH64|390|PPC64|LARCH)_\w+|x86|aarch64|arm64|\bs390|\bppc64|powerpc|loongarch|riscv/i;

/** Rooms, or tables with a row a processor. */
const TABLES: Readonly<Record<string, string>> = {
  'src/arch/': 'the room for it',
  'src/verify/': 'a checker with knowledge of its own',
  'src/elf/constants.ts': 'numbers of the format',
  'src/elf/machines.ts': 'names by e_machine',
  'src/elf/section-types.ts': 'section types by e_machine',
  'src/kernel/kcfi.ts': 'CHECKS by e_machine',
  'src/kernel/runtime-constants.ts': 'REWRITES by e_machine',
  'src/kernel/runtime-constants-aarch64.ts': 'a row of REWRITES',
  'src/kernel-image/processors.ts': 'PROCESSORS by e_machine',
  'src/livepatch/facts/index.ts': 'READERS by e_machine',
  'src/livepatch/facts/aarch64.ts': 'a row of READERS',
  'src/livepatch/ko/processors.ts': 'PROCESSORS by e_machine',
  'src/livepatch/ko/x86-64.ts': 'a row of it',
  'src/livepatch/ko/aarch64.ts': 'a row of it',
  'src/synth/processors.ts': 'PROCESSORS by the name in a shape',
  'src/synth/x86-64.ts': 'a row of it',
  'src/synth/x86-64-code.ts': 'a row of it',
  'src/synth/aarch64.ts': 'a row of it',
  'src/synth/aarch64-code.ts': 'a row of it',
  'src/synth/aarch64-relocations.ts': 'numbers of the format',
  'src/synth/shape/rules.ts': 'SHAPE_RULES by e_machine',
  'src/synth/shape/index.ts': 'SHAPES by name',
  'src/synth/shape/linux-7.3-arm64.ts': 'a row of it',
  'src/synth/shape/types.ts': 'the names of PROCESSORS as a type',
  'src/pipeline/describe-image.ts': 'the names of PROCESSORS as a type',
  'src/diagnostics/': 'examples and remedies, words for people',
};

/** Whatever else names one, and why it may. */
const ARGUED: Readonly<Record<string, string>> = {
  'src/files/xz-branches.ts': 'filters of the xz format, by the numbers that its header has',
  'src/kernel-image/memory.ts': 'a raw image has no address: the one that arm64 links at, if nothing in it tells',
  'src/kernel-image/unpack/': 'the forms of images: bzImage is x86-64’s, the Image header arm64’s',
  'src/kernel/sections.ts': 'names of sections that only one processor’s kernels have, in the table of sections',
  'src/stages/assess/registrations.ts': 'names of sections that only one processor’s kernels have',
  'src/stages/compare/gaps.ts': 'names of sections that only one processor’s kernels have',
  'src/kernel/symbol-rules.ts': 'a symbol’s name: only one processor’s kernels have it',
  'src/livepatch/facts/symbols.ts': 'a symbol’s name: only one processor’s kernels have it',
  'src/stages/running-kernel/image/late-pass.ts': 'a table of sections by symbols’ names that only one processor has',
  'src/library/build.ts': 'a file of kernel trees: build is for kernels that objtool finishes (hasKlpBuild)',
  'src/kbuild/folders.ts': 'a folder of kernel trees: build is for kernels that objtool finishes (hasKlpBuild)',
  'src/synth/names.ts': 'a folder of kernel trees, in paths that are made up',
  'src/stages/checksum/': 'in the place of `objtool klp checksum`, which exists for x86-64 alone and reads no other',
  'src/tools/objtool/': 'in the place of `objtool klp post-link`, which exists for x86-64 alone and reads no other',
};

const all = { ...TABLES, ...ARGUED };
const placeOf = (file: string): string | undefined =>
  Object.keys(all).find((place) => (place.endsWith('/') ? file.startsWith(place) : file === place));

/** The lines of a source that name a processor, without comments. */
function naming(text: string): string[] {
  return text
    .replace(/\/\*[^]*?\*\//g, '')
    .split('\n')
    .map((line) => line.replace(/(?:^|\s)\/\/ .*$/, '').trim())
    .filter((line) => PROCESSOR.test(line));
}

const found = new Map(
  sources(root, ['src', 'workers'])
    .map((file): [string, string[]] => [file, naming(readFileSync(join(root, file), 'utf8'))])
    .filter(([, lines]) => lines.length > 0),
);

test('a condition on a processor is caught, a word about one is not', () => {
  expect(naming('if (machine !== EM_X86_64) return; // only here')).toHaveLength(1);
  expect(naming('const width = type === R_AARCH64_ABS64 ? 8 : 4;')).toHaveLength(1);
  expect(naming("if (name === 'arm64')")).toHaveLength(1);
  expect(naming('/** On x86-64 it lists padding. */\n// EM_AARCH64 alone\nconst SYSTEM_TRUSTED = 1;')).toEqual([]);
});

test('processors are named in their room, in tables, and where it is argued', () => {
  expect([...found].filter(([file]) => placeOf(file) === undefined)).toEqual([]);
});

test('what is argued for is still there', () => {
  const places = new Set([...found.keys()].map(placeOf));
  expect(Object.keys(all).filter((place) => !places.has(place))).toEqual([]);
});
