/** Numbered variables that begin where a loop over the object before them ends: a use that may be theirs or the other's. */
import { describe, expect, test } from 'vitest';
import { body, diffObjects, movEax, type ObjectDiff } from '../../support/diff-objects';
import { abs32s, object, u64, type Body, type Field, type ObjectBuilder } from '../../support/elf-builder';

const SHARED = { section: '.data..read_mostly', bind: 'local' } as const;
const place = (offset: number): Field => abs32s({ section: SHARED.section }, offset);
/** `mov $place, %rbx`, `add $8, %rbx`, `cmp $place, %rbx`, `jne` to the add. */
const loop = (from: number, to: number): Body =>
  [[0x48, 0xc7, 0xc3, place(from), 0x48, 0x83, 0xc3, 8, 0x48, 0x81, 0xfb, place(to), 0x75, 0xf3]].flat() as Body;
/** `incl place`. */
const count = (offset: number): Body => [0xff, 0x04, 0x25, place(offset)];

/**
 * `list` (16 bytes), then a variable of a name that is not the build's only one, as `tomoyo_builtin_profile.10` lies behind the array that
 * `tomoyo_load_builtin_policy` goes through.
 */
const build = (name: string, ...bodies: Body[]): ObjectBuilder => {
  const b = object()
    .file('a.c')
    .data('list', [u64(1), u64(2)], SHARED)
    .data(name, [u64(3)], SHARED);
  bodies.forEach((part, i) => b.func(`f${i}`, body(part)));
  return b;
};
const twin = (diff: ObjectDiff, name: string): string | undefined => diff.twin(name)?.name;

describe('a use that is of one of two variables, the same in both builds', () => {
  test('is no reason to leave the other one without a twin', () => {
    // Unpaired, whatever new code did with it would be refused, for a loop that is none of its business.
    const diff = diffObjects(build('profile.10', loop(0, 16), movEax(1)), build('profile.11', loop(0, 16), movEax(2)));
    expect(twin(diff, 'profile.10')).toBe('profile.11');
    expect(diff.twin('profile.10')?.rule).toBe('remaining');
  });

  test('is one where the user changed: it may have come to mean the other', () => {
    const diff = diffObjects(
      build('profile.10', loop(0, 16)),
      build('profile.11', [...(movEax(1) as number[]), ...(loop(0, 16) as number[])] as Body),
    );
    expect(twin(diff, 'profile.10')).toBeUndefined();
    // ... in an immediate only, so that every reference stands where it stood.
    const at = (value: number): Body => [...(movEax(value) as number[]), ...(loop(0, 16) as number[])] as Body;
    expect(twin(diffObjects(build('profile.10', at(1)), build('profile.11', at(2))), 'profile.10')).toBeUndefined();
  });

  test('is one where only one build has it', () => {
    const diff = diffObjects(
      build('profile.10', loop(0, 16), movEax(1)),
      build('profile.11', loop(0, 16), [...(movEax(1) as number[]), ...(loop(0, 16) as number[])] as Body),
    );
    expect(twin(diff, 'profile.10')).toBeUndefined();
  });

  test('the premise: a use in the variable is of that alone', () => {
    const diff = diffObjects(build('profile.10', count(16)), build('profile.11', count(16)));
    expect(twin(diff, 'profile.10')).toBe('profile.11');
    expect(diff.twin('profile.10')?.rule).not.toBe('remaining');
  });
});
