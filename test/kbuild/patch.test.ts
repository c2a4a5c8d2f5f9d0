/** Patches as people have them: what fits exactly is applied, all else is one clear line. A patch that is put where it almost fits is another fix. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { applyAll, type Applied } from '../../src/kbuild/patch/apply';
import { sortFiles } from '../../src/kbuild/patch/kinds';
import { parsed } from '../../src/patch/read';
import { patchOf, smallKernel } from '../support/small-kernel';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
let source = '';
let fix = '';

beforeAll(() => {
  ({ source } = smallKernel(folder));
  fix = patchOf(source, 'fs/answer.c', 'n * 3', 'n * 4');
});

/** Codes of all that is said, and the files that change. */
function judged(text: string, strip = 1): { codes: string[]; files: Applied['files']; said: string } {
  const { files, diagnostics } = parsed(text, 'fix.patch');
  const applied = applyAll(files, source, strip);
  const all = [...diagnostics, ...applied.diagnostics, ...sortFiles(applied.files).diagnostics];
  return {
    codes: all.map(({ code }) => code),
    files: applied.files,
    said: all.map(({ message }) => message).join('\n'),
  };
}

test('a patch that fits is applied, byte for byte, as git and as diff write it', () => {
  const [file] = judged(fix).files;
  const before = readFileSync(join(source, 'fs/answer.c'), 'latin1');
  expect(file).toEqual({ path: 'fs/answer.c', original: before, patched: before.replace('n * 3', 'n * 4') });
  expect(judged(fix.replace(/^diff .*\n/, '').replaceAll(/(?<=^(?:---|\+\+\+) .*)$/gm, '\t2026-01-01')).codes).toEqual(
    [],
  );
  // git format-patch ends in "-- " and a version, which looks like one removed line more.
  const mailed = `From 1234 Mon Sep 17\nSubject: [PATCH] answer: four\n\nBody with --- dashes.\n---\n fs/answer.c | 2 +-\n\n${fix}-- \n2.39.5\n\n`;
  expect(judged(mailed)).toMatchObject({ codes: [], files: [file] });
  expect(
    judged(
      mailed +
        mailed
          .replaceAll('answer.c', 'unused.c')
          .replace(/@@[^]*(?=-- \n)/, '@@ -1,4 +1,4 @@\n int unused(void)\n {\n-\treturn 1;\n+\treturn 2;\n }\n'),
    ).files,
  ).toHaveLength(2);
});

test('bytes that are no UTF-8 stay themselves', () => {
  writeFileSync(join(source, 'fs/latin.c'), Buffer.from('/* M\xfcller */\nint a;\n', 'latin1'));
  const [file] = judged(
    '--- a/fs/latin.c\n+++ b/fs/latin.c\n@@ -1,2 +1,2 @@\n /* M\xfcller */\n-int a;\n+int b;\n',
  ).files;
  expect(file?.patched).toBe('/* M\xfcller */\nint b;\n');
});

test('a line elsewhere is followed only where one place is meant', () => {
  // Shifted by two lines: one place has them.
  expect(judged(fix.replace('@@ -6,7 +6,7 @@', '@@ -4,7 +4,7 @@'))).toMatchObject({
    codes: [],
    files: [{ path: 'fs/answer.c' }],
  });
  const twice = 'int a(void)\n{\n\treturn 1;\n}\n';
  writeFileSync(join(source, 'fs/twice.c'), `\n${twice}${twice.replace('a(', 'b(')}`);
  const loose = '--- a/fs/twice.c\n+++ b/fs/twice.c\n@@ -1,3 +1,3 @@\n {\n-\treturn 1;\n+\treturn 2;\n }\n';
  expect(judged(loose)).toMatchObject({ codes: ['patch-fuzz'], files: [] });
});

test.for<[why: string, change: (fix: string) => string, code: string, says: RegExp]>([
  [
    'turned round',
    (text) => text.replace('-\treturn n * 3', '-\treturn n * 4').replace('+\treturn n * 4', '+\treturn n * 3'),
    'patch-reversed',
    /has the fix already/,
  ],
  ['other context', (text) => text.replace(' int first(int n)', ' int first(long n)'), 'patch-fuzz', /another version/],
  [
    'other lines',
    (text) => text.replace('-\treturn n * 3', '-\treturn n * 5'),
    'patch-not-applicable',
    /the lines at \d+ are others/,
  ],
  ['no such file', (text) => text.replaceAll('answer.c', 'none.c'), 'patch-not-applicable', /does not have/],
  [
    'made one folder up',
    (text) => text.replaceAll(/ ([ab])\/fs/g, ' $1/linux/fs'),
    'patch-level',
    /--strip 2, not with 1/,
  ],
  ['made without a folder', (text) => text.replaceAll(/ [ab]\/fs/g, ' fs'), 'patch-level', /--strip 0/],
  ['CR LF', (text) => text.replaceAll('\n', '\r\n'), 'patch-crlf', /CR LF/],
  ['cut short', (text) => text.split('\n').slice(0, 8).join('\n'), 'patch-malformed', /damaged/],
  ['nothing', () => '', 'patch-empty', /changes no file/],
  ['a letter', () => 'Dear all,\n\nplease fix it.\n', 'patch-empty', /changes no file/],
  [
    'binary',
    () => 'diff --git a/fs/x.bin b/fs/x.bin\nindex 1..2 100644\nGIT binary patch\nliteral 3\nKc$}x\n\n',
    'patch-binary',
    /binary/,
  ],
  [
    'binary without data',
    () => 'diff --git a/fs/x.bin b/fs/x.bin\nindex 1..2 100644\nBinary files a/fs/x.bin and b/fs/x.bin differ\n',
    'patch-binary',
    /binary/,
  ],
  [
    'a rename',
    () =>
      'diff --git a/fs/answer.c b/fs/reply.c\nsimilarity index 100%\nrename from fs/answer.c\nrename to fs/reply.c\n',
    'patch-renames',
    /renames/,
  ],
  [
    'a new unit',
    () =>
      'diff --git a/fs/new.c b/fs/new.c\nnew file mode 100644\n--- /dev/null\n+++ b/fs/new.c\n@@ -0,0 +1 @@\n+int a;\n',
    'patch-adds-file',
    /no Makefile/,
  ],
  [
    'one that is there',
    () => '--- /dev/null\n+++ b/fs/answer.c\n@@ -0,0 +1 @@\n+int a;\n',
    'patch-not-applicable',
    /has already/,
  ],
  [
    'a removed unit',
    () =>
      'diff --git a/fs/unused.c b/fs/unused.c\ndeleted file mode 100644\n--- a/fs/unused.c\n+++ /dev/null\n@@ -1,4 +0,0 @@\n-int unused(void)\n-{\n-\treturn 1;\n-}\n',
    'patch-removes-file',
    /removes/,
  ],
  [
    'a Makefile',
    () => '--- a/fs/Makefile\n+++ b/fs/Makefile\n@@ -1 +1 @@\n-obj-y := answer.o\n+obj-y := answer.o unused.o\n',
    'patch-build-files',
    /how the kernel is built/,
  ],
  [
    'a document',
    () => '--- a/Documentation/answer.rst\n+++ b/Documentation/answer.rst\n@@ -1 +1 @@\n-Answers\n+Replies\n',
    'patch-files-aside',
    /left aside/,
  ],
  [
    'out of the tree',
    () => '--- a/../../etc/passwd\n+++ b/../../etc/passwd\n@@ -1 +1 @@\n-a\n+b\n',
    'patch-malformed',
    /no path inside/,
  ],
])('%s is told', ([, change, code, says]) => {
  const { codes, said } = judged(change(fix));
  expect({ codes, said }).toEqual({ codes: [code], said: expect.stringMatching(says) });
});

test('code that runs elsewhere than kernel code does is told apart', () => {
  for (const [path, says] of [
    ['arch/x86/entry/vdso/vma2.c', /vDSO/],
    ['arch/x86/boot/main2.c', /decompressor/],
    ['arch/x86/realmode/init2.c', /real mode/],
    ['drivers/firmware/efi/libstub/x.c', /EFI stub/],
    ['arch/x86/lib/copy.S', /assembly/],
    ['arch/x86/kernel/vmlinux.lds.S', /linker script/],
    ['rust/kernel/lib.rs', /Rust/],
    ['drivers/tty/vt/defkeymap.map', /no C file/],
  ] as const) {
    mkdirSync(join(source, path, '..'), { recursive: true });
    writeFileSync(join(source, path), 'a\n');
    const { codes, said } = judged(`--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-a\n+b\n`);
    expect({ path, codes, said }).toEqual({ path, codes: ['unit-not-patchable'], said: expect.stringMatching(says) });
  }
});
