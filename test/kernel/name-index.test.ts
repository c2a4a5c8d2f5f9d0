import { describe, expect, test } from 'vitest';
import { NameIndex, type Names } from '../../src/kernel/listing/name-index';

/** `names` one behind the other, as a listing has them. */
function listed(names: readonly string[]): Names {
  const parts = names.map((name) => Buffer.from(name));
  const start = new Uint32Array(names.length);
  let at = 0;
  parts.forEach((part, i) => {
    start[i] = at;
    at += part.length;
  });
  return { bytes: Buffer.concat(parts), start, length: Uint16Array.from(parts, ({ length }) => length) };
}

function found(index: NameIndex, name: string): number[] {
  const bytes = Buffer.from(`..${name}..`);
  return index.all(bytes, 2, bytes.length - 4);
}

// An index that mixed up two names of one bucket would give a livepatch another symbol's position.
describe('the index of names', () => {
  // The bucket of a name is told by a few of its bytes, so these all share one: only one byte differs, which is none of those.
  const alike = Array.from({ length: 26 }, (_, i) => `page_table_walk_${String.fromCharCode(97 + i)}_and_its_llvm`);
  const names = [...alike, 'a', '', 'ab', ...alike.slice(0, 13), 'a', 'aa', 'b'];
  const index = new NameIndex(listed(names), names.length);

  test.each([...new Set(names)])('finds all members called %j in list order, and no others', (name) => {
    expect(found(index, name)).toEqual(names.flatMap((other, i) => (other === name ? [i] : [])));
  });

  test('finds nothing of a name that only looks alike', () => {
    expect(found(index, 'page_table_walk_Z_and_its_llvm')).toEqual([]);
    expect(found(index, 'page_table_walk_a_and_its_llv')).toEqual([]);
    expect(found(index, 'c')).toEqual([]);
  });

  test('leaves out what it is told to', () => {
    const odd = new NameIndex(listed(names), names.length, (member) => member % 2 === 0);
    for (const name of new Set(names))
      expect(found(odd, name)).toEqual(names.flatMap((other, i) => (other === name && i % 2 === 1 ? [i] : [])));
  });
});
