/** Static variables of functions that were renamed: the value that the running kernel has is lost. */
import { describe, expect, test } from 'vitest';
import { diagnostic } from '../../../src/diagnostics';
import { reportRemarks } from '../../../src/stages/kpatch';
import { COMPILERS, compiled } from '../../support/compiled';
import { diffObjects, type ObjectDiff } from '../../support/diff-objects';

const told = (compiler: string, orig: string, patched: string): ObjectDiff =>
  diffObjects(compiled(compiler, orig), compiled(compiler, patched));
const LOG = 'extern int log1(const char *, ...); extern int io(int);\n';

describe.each(COMPILERS)('%s', (compiler) => {
  const source = (
    name: string,
    variable: string,
    text: string,
  ): string => `${LOG}static __attribute__((noinline)) int ${name}(int k) { static ${variable}; switch (k) { case 1: case 4: return io(tries++); default: return log1("${text}", k, tries); } }
    int recv_cmd(int k) { if (k < 0) return -1; return ${name}(k); }`;
  const warned = (diff: ObjectDiff): string[] =>
    diff.diagnostics.filter(({ code }) => code === 'new-static-local').map(({ message }) => message);

  // Guards against a counter that begins at 0 again without a word.
  test('either the old variable goes on, or it is told', () => {
    const diff = told(compiler, source('conf', 'int tries', 'rsp %d'), source('conf_fixed', 'int tries', 'rsp %d %d'));
    const goesOn = diff.twin(compiler === 'gcc' ? 'tries.0' : 'conf.tries') !== undefined;
    expect(
      goesOn ||
        warned(diff).some((message) =>
          /\btries\S* counts as new and starts anew: it looks like \S*tries/.test(message),
        ),
    ).toBe(true);
  });

  // A variable of another size, or none that is gone: the author wrote a new one.
  test('a variable that looks like no other is not told', () => {
    expect(
      warned(told(compiler, source('conf', 'short tries', 'rsp %d'), source('conf_fixed', 'long tries', 'rsp %d %d'))),
    ).toEqual([]);
    expect(
      warned(
        told(
          compiler,
          `${LOG}int f(int k) { return io(k); }`,
          `${LOG}int f(int k) { static int tries; return io(k + tries++); }`,
        ),
      ),
    ).toEqual([]);
  });
});

// kpatch warns of every new static local; of one that looks like another assess says more.
test("a variable that assess tells of is no remark of kpatch's besides", () => {
  const remarks = { ignoredSections: [], ignoredFunctions: [], callbacks: [], forced: [] };
  const newStatic = { name: 'tries.0', user: 'conf_fixed' };
  const told = diagnostic('new-static-local', 'tries.0 counts as new', { object: 'vmlinux', symbol: 'tries.0' });
  const other = diagnostic('new-static-local', 'calls.0 counts as new', { object: 'vmlinux', symbol: 'calls.0' });
  expect(reportRemarks({ ...remarks, newStatic }, 'vmlinux', [told])).toEqual([]);
  expect(reportRemarks({ ...remarks, newStatic }, 'vmlinux', [other]).map(({ code }) => code)).toEqual([
    'new-static-local',
  ]);
});
