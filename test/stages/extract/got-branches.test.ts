/** Branches through the GOT, which a module does not have: what linkers make of them (-fPIE, -fno-plt). */
import { describe, expect, test } from 'vitest';
import { BODY, body, movEax } from '../../support/diff-objects';
import { code, object, relocated, type ObjectBuilder } from '../../support/elf-builder';
import { extractObjects } from '../../support/extract-objects';

const GOTPCREL = 9;
const GOTPCRELX = 41;
const REX_GOTPCRELX = 42;
const exports = ['__x86_return_thunk', 'helper'];
const AT = BODY + 5;

/** f changes; it uses helper by these bytes before a field of this type. */
const used = (bytes: number[], type: number, addend = -4): ReturnType<typeof extractObjects> => {
  const build = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .undef('helper')
      .func('f', body(movEax(value), code(new Uint8Array(bytes), [relocated(4, type, 'helper', addend)])));
  return extractObjects(build(1), build(2), { exports });
};

describe('a branch through the GOT', () => {
  // Guards against a field that stays where it was: the call would go into its own middle.
  test.each([
    ['call', [0xff, 0x15], 'e8'],
    ['jmp', [0xff, 0x25], 'e9'],
    ['notrack jmp', [0x3e, 0xff, 0x25], 'e9'],
  ] as const)('%s becomes a direct one', (_, bytes, opcode) => {
    const made = used([...bytes], GOTPCRELX);
    const at = AT + bytes.length - 2;
    expect(made.told).toEqual([]);
    expect(made.relas('f')).toContain(`+0x${(at + 1).toString(16)} PLT32 helper-4`);
    expect(made.hex('f').slice(at * 2, (at + 6) * 2)).toBe(`${opcode}0000000090`);
  });

  test('the type without X promises no such instruction', () => {
    const made = used([0xff, 0x15], GOTPCREL);
    expect(made.told).toEqual(['unsupported-relocation f']);
    expect(made.messages[0]).toContain('R_X86_64_GOTPCREL,');
  });

  test('with another addend it does not end with its field', () => {
    expect(used([0xff, 0x15], GOTPCRELX, -5).told).toEqual(['unsupported-relocation f']);
  });

  // push and the operand of an addition are memory, not places to go to.
  test.each([
    ['push', [0xff, 0x35], GOTPCRELX],
    ['mov', [0x8b, 0x05], GOTPCRELX],
    ['mov', [0x48, 0x8b, 0x05], REX_GOTPCRELX],
    ['add', [0x48, 0x03, 0x05], REX_GOTPCRELX],
    ['test', [0x48, 0x85, 0x05], REX_GOTPCRELX],
  ] as const)('%s stays refused, by the name of its type', (_, bytes, type) => {
    const made = used([...bytes], type);
    expect(made.told).toEqual(['unsupported-relocation f']);
    expect(made.messages[0]).toMatch(/R_X86_64_(REX_)?GOTPCRELX/);
  });
});

test('a call of a function that is replaced, too, stays a call of the copy', () => {
  const build = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('g', body(movEax(value)))
      .func('f', body(movEax(value), [0xff, 0x15, relocated(4, GOTPCRELX, 'g', -4)]));
  expect(extractObjects(build(1), build(2), { exports }).relas('f')).toContain(`+0x${(AT + 1).toString(16)} PLT32 g-4`);
});
