/** An address that PATCHED reads from the GOT is computed in a module for arm64: verify must expect that, and no other change of the pair. */
import { expect, test } from 'vitest';
import { withoutGot } from '../../src/verify/reference/got';

const words = (...list: number[]): Uint8Array => new Uint8Array(Uint32Array.from(list).buffer);
const rela = (offset: number, type: number, addend = 0) => ({ offset, type, symbol: 1, addend });

test('adrp and ldr of a slot become adrp and add', () => {
  // adrp x8, :got:x; ldr x9, [x8, :got_lo12:x]
  const made = withoutGot(
    words(0x90000008, 0xf9400109),
    new Map([
      [0, rela(0, 311)],
      [4, rela(4, 312)],
    ]),
  );
  expect([...made.code]).toEqual([...words(0x90000008, 0x91000109)]);
  expect([...made.relas.values()].map(({ type }) => type)).toEqual([275, 277]);
});

test.each<[string, number, number, number]>([
  ['a narrow load', 0xb9400109, 312, 0],
  ['a place behind the slot', 0xf9400109, 312, 8],
  ['a load of another kind', 0xf9400109, 286, 0],
])('%s stays', (_, word, type, addend) => {
  const code = words(word);
  expect(withoutGot(code, new Map([[0, rela(0, type, addend)]]))).toEqual({
    code,
    relas: new Map([[0, rela(0, type, addend)]]),
  });
});
