/** What ThinLTO of Clang 22 leaves of a unit's statics: names with the unit's hash in them, and literals of several units in one section. */
import { describe, expect, test } from 'vitest';
import { STT_FUNC, STT_NOTYPE } from '../../../src/elf';
import { body, call, diffObjects, lea, movEax } from '../../support/diff-objects';
import { code, object, ptr64, u64, type Body, type ObjectBuilder } from '../../support/elf-builder';
import { extractObjects } from '../../support/extract-objects';

describe('the cold part of a promoted function', () => {
  /** Clang 22 makes it a sized symbol without a type: `ip_route_input_rcu.llvm.7017.cold`. */
  const build = (hash: number, value: number, cold = 1, hot = 7, type = STT_NOTYPE): ObjectBuilder =>
    object()
      .file('a.c')
      .func(`f.llvm.${hash}`, body(call(`f.llvm.${hash}.cold`), movEax(hot)), { other: 2 })
      .symbol(`f.llvm.${hash}.cold`, { section: `.text.unlikely.f`, type, bind: 'local', size: 10 })
      .section('.text.unlikely.f', { body: code(movEax(cold), movEax(9)) })
      .func('edited', body(movEax(value), call(`f.llvm.${hash}`)));

  // An edit of the unit gives all its names another hash: every function with a cold part counted as changed.
  test('has its twin under another hash', () => {
    const diff = diffObjects(build(111, 1), build(222, 2));
    expect({ changed: diff.changed, added: diff.added, told: diff.told }).toEqual({
      changed: { edited: 'code' },
      added: [],
      told: [],
    });
  });

  test("is its function's where it differs", () => {
    for (const type of [STT_NOTYPE, STT_FUNC]) {
      const diff = diffObjects(build(111, 1, 1, 7, type), build(222, 1, 2, 8, type));
      expect({ changed: Object.keys(diff.changed), told: diff.told }).toEqual({ changed: ['f.llvm.111'], told: [] });
    }
  });
});

describe('literals of several units in one section', () => {
  const SECTION = '.rodata..L.str.8';
  const text = (words: string): Body => [...Buffer.from(`${words}\0`)];
  /** The literal of b.c comes behind that of a.c, and moves with it; a record of a.c's names one. */
  const build = (first: string, second: string, value = 1): ObjectBuilder => {
    const at = first.length + 1;
    return object()
      .file('a.c')
      .section(SECTION, { body: code(text(first), text(second)) })
      .data('__UNIQUE_ID_ddebug_7', [ptr64({ section: SECTION }), u64(5)], { section: '__dyndbg', bind: 'local' })
      .func('f', body(lea({ section: SECTION }), lea('__UNIQUE_ID_ddebug_7')), { bind: 'local' })
      .file('b.c')
      .func('g', body(movEax(value), lea({ section: SECTION }, at)), { bind: 'local' });
  };
  const changed = (orig: ObjectBuilder, patched: ObjectBuilder): string[] =>
    Object.keys(diffObjects(orig, patched).changed).sort();

  // `__se_sys_uname` counted as a reader of a changed table, and an init function's descriptor as changed data.
  test("are each their own unit's", () => {
    expect(changed(build('a text', 'other'), build('a text', 'another'))).toEqual(['g']);
    expect(changed(build('a text', 'other'), build('a longer text', 'other'))).toEqual(['f']);
  });

  test('... and are copied each by itself', () => {
    const made = extractObjects(build('a text', 'other', 1), build('a text', 'other', 2), {
      exports: ['__x86_return_thunk', '__fentry__'],
    });
    expect(made.told).toEqual([]);
    expect(Buffer.from(made.bytes(SECTION)).toString('latin1')).toMatch(/^\0*other\0$/);
  });
});
