/** What the patched build does and its livepatch will not: told by name, never dropped in silence. */
import { describe, expect, test } from 'vitest';
import { body, diffObjects, lea, movEax, type ObjectDiff } from '../../support/diff-objects';
import { object, ptr64, u64, type ObjectBuilder } from '../../support/elf-builder';

const LOCAL = { bind: 'local' } as const;

/** A unit whose function `f` changes; `rest` adds what only one build has. */
function diffWith(
  ours: (builder: ObjectBuilder) => ObjectBuilder,
  theirs: (builder: ObjectBuilder) => ObjectBuilder,
): ObjectDiff {
  const build = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('f', body(movEax(value)), { bind: 'global' });
  return diffObjects(ours(build(1)), theirs(build(2)));
}
const none = (builder: ObjectBuilder): ObjectBuilder => builder;
const text = (value: string): Uint8Array => Buffer.from(`${value}\0`, 'latin1');

describe('registrations', () => {
  const param =
    (name: string) =>
    (b: ObjectBuilder): ObjectBuilder =>
      b.data(`__param_${name}`, [u64(1)], { section: '__param', ...LOCAL });

  test('a parameter, a tracepoint and an initcall that only PATCHED has are named', () => {
    // The livepatch worked, but nobody could set `limit`: and nothing said so.
    const { diagnostics } = diffWith(param('verbose'), (b) =>
      param('limit')(param('verbose')(b))
        .data('__tracepoint_act', [u64(1)], { section: '__tracepoints' })
        .func('late', body(movEax(1)), LOCAL)
        .section('.initcall7.init', { flags: 2 })
        .special('.initcall7.init', ptr64('late')),
    );
    const told = diagnostics.filter(({ code: id }) => id === 'not-registered').map(({ message }) => message);
    expect(told).toEqual([
      expect.stringMatching(/^__param_limit: a module parameter that only PATCHED has/),
      expect.stringMatching(/^__tracepoint_act: a tracepoint /),
      expect.stringMatching(/^late: an initcall /),
    ]);
  });

  test('an export that is gone stays; numbers that macros paste into names are none of their own', () => {
    const exported =
      (name: string) =>
      (b: ObjectBuilder): ObjectBuilder =>
        b.func(name, body(movEax(7)), { bind: 'global' }).special('.export_symbol', ptr64(name));
    const fixup =
      (line: number) =>
      (b: ObjectBuilder): ObjectBuilder =>
        b.data(`__pci_fixup_quirk${line}`, [u64(1)], { section: '.pci_fixup_final', ...LOCAL });
    const { told, diagnostics } = diffWith(
      (b) => fixup(12)(exported('gone')(b)),
      (b) => fixup(34)(b),
    );
    expect(told.filter((each) => each.startsWith('not-registered'))).toEqual(['not-registered gone']);
    expect(diagnostics.find(({ code: id }) => id === 'not-registered')!.message).toContain(
      'only ORIG has; it stays registered',
    );
  });

  test('equal tables are not told', () => {
    expect(diffWith(param('verbose'), param('verbose')).told).toEqual([]);
  });
});

describe('builds', () => {
  const comment =
    (compiler: string) =>
    (b: ObjectBuilder): ObjectBuilder =>
      b.section('.comment', { flags: 0x30, entsize: 1, body: [text(compiler)] });

  test('another compiler is told, an object that names none is not', () => {
    expect(diffWith(comment('GCC: (Debian 12.2.0) 12.2.0'), comment('clang version 19.1.7')).told).toEqual([
      'other-compiler .comment',
    ]);
    expect(diffWith(comment('GCC: (Debian 12.2.0) 12.2.0'), none).told).toEqual([]);
  });

  test('a changed version of an export is told by its name', () => {
    const crc =
      (value: number) =>
      (b: ObjectBuilder): ObjectBuilder =>
        b.abs('__crc_vfs_read', value, 'global');
    expect(diffWith(crc(1), crc(2)).told).toEqual(['export-version vfs_read']);
    expect(diffWith(crc(1), crc(1)).told).toEqual([]);
  });

  test('another release is one warning, and nothing counts as changed for it', () => {
    // 7.2.13 against 7.2.13+ gave four refusals, three changed functions and advice about shadow variables.
    const named =
      (release: string) =>
      (b: ObjectBuilder): ObjectBuilder =>
        b
          .rodata('linux_banner', text(`Linux version ${release} (me@here) #1\n`), { bind: 'global' })
          .rodata('vermagic', text(`${release} SMP preempt `), LOCAL)
          .func('show', body(lea({ string: `kernel ${release}` })), { bind: 'global' });
    const { changed, ignored, data, told } = diffWith(named('7.2.13'), named('7.2.13+'));
    expect({ changed: Object.keys(changed), data: data.changed, told }).toEqual({
      changed: ['f'],
      data: [],
      told: ['other-release vermagic'],
    });
    expect(ignored).toEqual({ linux_banner: 'release', vermagic: 'release', show: 'release' });
  });

  test('builds whose names differ in none of what is read: no text is shown as another', () => {
    // vmlinux.o of 6.2 and later has `# SMP PREEMPT` in place of the number and the time, which the last link fills in.
    const named =
      (who: string) =>
      (b: ObjectBuilder): ObjectBuilder =>
        b.rodata('linux_banner', text(`Linux version 7.2.13 (${who}) #\n`), { bind: 'global' });
    const [told, ...more] = diffWith(named('me@here'), named('me@there')).diagnostics;
    expect(more).toEqual([]);
    expect(told!.message).toMatch(/^the builds call themselves otherwise: one symbol differs/);
  });

  test('a text that differs in more than the release counts', () => {
    const named =
      (release: string, more: string) =>
      (b: ObjectBuilder): ObjectBuilder =>
        b.rodata('vermagic', text(`${release} SMP `), LOCAL).rodata('table', text(`${release} ${more}`), LOCAL);
    expect(diffWith(named('7.2.13', 'a'), named('7.2.13+', 'b')).data.changed).toEqual(['table']);
  });

  test('two objects that have little in common are not of one kernel: one reason', () => {
    const many = (value: number): ObjectBuilder => {
      const builder = object().file('x.c');
      for (let i = 0; i < 600; i++) builder.func(`f${i}`, body(movEax(value)), { bind: 'global' });
      return builder;
    };
    const { told, assessment } = diffObjects(many(1), many(2));
    expect(told).toEqual(['not-one-kernel ']);
    expect(assessment.included).toEqual([]);
  });
});
