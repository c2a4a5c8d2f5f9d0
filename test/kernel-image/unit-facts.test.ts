/**
 * What a unit by itself cannot tell and the kernel's image does. The silent failures: a store to a variable of another unit that the kernel keeps read-only,
 * which faults at its first run; code that objtool has not seen, whose stacks livepatch calls unreliable for ever.
 */
import { expect, test } from 'vitest';
import { ElfObject } from '../../src/elf';
import { MappedFile } from '../../src/files/mapped-file';
import { KernelListing } from '../../src/kernel/listing';
import { readTable } from '../../src/stages/scan';
import { Side } from '../../src/stages/side/side';
import { KernelCode, storesToReadOnly, withoutLatePass } from '../../src/stages/running-kernel/image';
import { compiled } from '../support/compiled';

const LIST = `ffffffff81000000 T _stext
ffffffff82000000 R __start_rodata
ffffffff82001000 R constant
ffffffff82400000 D __start_ro_after_init
ffffffff82400010 D settled
ffffffff82500000 D __end_ro_after_init
ffffffff82800000 R __end_rodata
ffffffff83000000 D plain
`;

function kernel(...sections: string[]): KernelCode {
  const listing = KernelListing.parse(Buffer.from(LIST), 'kallsyms');
  const memory = { bytesAt: () => undefined, holds: () => false, has: (name: string) => sections.includes(name) };
  return new KernelCode(listing, memory, undefined);
}

function side(source: string, ...flags: string[]): Side {
  const object = new ElfObject(MappedFile.ofBytes(new Uint8Array(compiled('gcc', source, ...flags)), 'unit.o'));
  return new Side(object, readTable(object));
}

const named = (one: Side, name: string): number => one.identity.named(name)[0]!;

const DECLARED = 'extern int settled, plain, constant; ';
/** What is refused of `f` in these two builds of a unit. */
function refused(before: string, after: string): string[] {
  const [orig, patched] = [side(DECLARED + before), side(DECLARED + after)];
  const included = [{ symbol: named(patched, 'f'), origin: named(orig, 'f') }];
  expect(included.every(({ symbol, origin }) => symbol > 0 && origin > 0)).toBe(true);
  return storesToReadOnly({ orig, patched, kernel: kernel(), included }).map(
    ({ code, message }) => `${code}: ${message}`,
  );
}

test('a new store to what the kernel makes read-only after boot is refused, whatever the declaration says', () => {
  const reads = 'int f(int k) { return settled + plain; }';
  expect(refused(reads, 'int f(int k) { settled = k; return plain; }')).toEqual([
    'changed-placement: f writes to settled, which is read-only after boot in kallsyms',
  ]);
  expect(refused(reads, 'int f(int k) { settled++; constant += k; return plain; }').join('\n')).toMatch(
    /settled, which is read-only after boot[^]*constant, which is read-only in kallsyms/,
  );
});

test('reading it, writing beside it, and writing what ORIG writes are not', () => {
  expect(refused('int f(int k) { return plain; }', 'int f(int k) { plain = settled; return k; }')).toEqual([]);
  // Who asks `if (booting)` first: ORIG would fault as well.
  expect(refused('int f(int k) { settled = k; return 0; }', 'int f(int k) { settled = k + 1; return 0; }')).toEqual([]);
});

test('a unit that objtool has not run on is named where the kernel has what objtool writes', () => {
  const plain = side('int g(void); int f(int k) { return g() + k; }');
  expect(withoutLatePass(plain, kernel())).toEqual([]);
  const [found] = withoutLatePass(plain, kernel('.orc_unwind_ip'));
  expect(found).toMatchObject({ code: 'before-objtool', where: { section: '.orc_unwind_ip' } });
  // Without ORC the returns tell, of code that has any.
  const thunks = side('int g(void); int f(int k) { return g() + k; }', '-mfunction-return=thunk-extern');
  expect(withoutLatePass(thunks, kernel('.return_sites'))[0]?.message).toMatch(
    /\.return_sites, .* calls __x86_return_thunk needs/,
  );
  expect(withoutLatePass(plain, kernel('.return_sites'))).toEqual([]);
  // Data alone has no stacks.
  expect(withoutLatePass(side('int only = 3;'), kernel('.orc_unwind_ip'))).toEqual([]);
});
