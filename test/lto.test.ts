/**
 * ThinLTO: a kernel's units have no machine code before the link, so what can be compared, besides vmlinux.o, are the partitions
 * that `ld.lld --lto-obj-path` leaves: one object a unit, before objtool, numbered by the order of the inputs.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { DiffResult } from '../src/index';
import { image, symbolsOf, thinLto, units, withoutClang, type Build, type Partitions } from './support/clang';
import { skipWithout } from './support/corpus';
import { NOTHING, body, call, diffObjects, lea, movEax } from './support/diff-objects';
import { object, ptr64, ref32, type ObjectBuilder } from './support/elf-builder';
import { kpatchDiff } from './support/kpatch-run';
import { readelf, readelfComplaints } from './support/readelf';
import { resultOf, running, type Ran } from './support/run-klpflow';
import { templateOf } from './support/target-kernel';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const missing = withoutClang();
const built = new Map<string, Partitions>();

function build(name: string, how: Build = {}): Partitions {
  let found = built.get(name);
  if (found === undefined) built.set(name, (found = thinLto(join(folder, name), how)));
  return found;
}

/** Another way to count what an empty queue is asked for: changes queue_pop, and the hash of queue.c's promoted names. */
const EDIT = { edits: { queue: ['return fallback + last;', 'return fallback - 3 * last;'] } } as const;

const original = (): Partitions => build('original');
const patched = (): Partitions => build('patched', EDIT);

async function diff(orig: string, other: string, ...argv: string[]): Promise<DiffResult> {
  return resultOf(
    await running(['diff', orig, other, '--json', '--progress', 'none', '--run-dir', join(folder, 'run'), ...argv]),
  );
}

/** What is told of the pair; that no kernel was given to check it against is told of all of them. */
const found = ({ diagnostics }: DiffResult): DiffResult['diagnostics'] =>
  diagnostics.filter(({ code }) => code !== 'not-checked');
const changed = ({ objects }: DiffResult): string[] =>
  objects.flatMap(({ functions }) => [
    ...functions.changed.map(({ name }) => name),
    ...functions.new.map(({ name }) => `new ${name}`),
    ...functions.removed.map(({ name }) => `removed ${name}`),
  ]);
const data = ({ objects }: DiffResult): string[] =>
  objects.flatMap(({ data: { changed: all, new: fresh, removed } }) =>
    [...all, ...fresh, ...removed].map(({ name }) => name),
  );
const promoted = (path: string): string[] =>
  symbolsOf(path)
    .map(({ name }) => name)
    .filter((name) => name.includes('.llvm.'))
    .sort();

beforeEach((context) => skipWithout(context, missing));

describe('two folders of partitions', () => {
  test('only the edited function changed; who refers to a promoted name of its unit did not', async () => {
    // Premise: submit.c's partition calls queue.c's wrap under its hash, and so differs although no line of it was edited. Its jump
    // label's key is such a name, too.
    const ours = promoted(original().of('submit'));
    const theirs = promoted(patched().of('submit'));
    expect(ours.filter((name) => /^(wrap|tracing)\.llvm\./.test(name)).length).toBeGreaterThanOrEqual(3);
    expect(theirs).not.toEqual(ours);
    expect(theirs.map((name) => name.split('.llvm.')[0]).sort()).toEqual(
      ours.map((name) => name.split('.llvm.')[0]).sort(),
    );

    // Silent failure: a patch that holds every user of the unit's statics, or a tool that nobody believes any more.
    const result = await diff(original().folder, patched().folder);
    expect(changed(result)).toEqual(['queue_pop']);
    expect(data(result)).toEqual([]);
    expect(result.verdict).toBe('patchable');
    expect(found(result)).toEqual([]);
  });

  test('the same answer from the linked objects', async () => {
    expect(changed(await diff(original().linked, patched().linked))).toEqual(['queue_pop']);
  });

  test('partitions that another order of inputs numbered anew pair', async () => {
    const renumbered = build('renumbered', { ...EDIT, order: ['submit', 'queue', 'account'] });
    expect(renumbered.of('submit').at(-1)).not.toBe(original().of('submit').at(-1));
    const result = await diff(original().folder, renumbered.folder);
    expect(changed(result)).toEqual(['queue_pop']);
    expect(found(result)).toEqual([]);
  });

  test('units of one file name pair by what they define', async () => {
    // `core.c` is a unit 23 times in one kernel; a unit more in front makes paths meet other units of the name. Silent failure: all
    // functions of both are told as new and removed, or one is compared with its neighbour.
    const unit = (name: string, value: number): string =>
      `#line 1 "core.c"\nint ${name}(int x) { static int last; last += x; return last * ${value}; }\n`;
    const before = build('cores', {
      more: { first: unit('first', 3), second: unit('second', 5) },
      order: ['first', 'second', 'queue', 'account', 'submit'],
    });
    const after = build('cores-shifted', {
      more: { first: unit('first', 3), second: unit('second', 7), zeroth: unit('zeroth', 9) },
      order: ['zeroth', 'first', 'second', 'queue', 'account', 'submit'],
    });
    const result = await diff(before.folder, after.folder);
    expect(changed(result)).toEqual(['second']);
    expect(found(result).map(({ code, message }) => [code, message])).toEqual([
      ['unit-mismatch', expect.stringMatching(/^1 objects exist in PATCHED only/)],
    ]);
  });

  test("another unit's static of the same name is a change, whatever the hashes", async () => {
    // Both `wrap`s are promoted. Silent failure: names without hashes are equal, and the patch is told to be empty.
    const swapped = build('swapped', {
      edits: { submit: ['return sum + accounted(kind);', 'return sum + queue_pop(q, 1);'] },
    });
    expect(changed(await diff(original().folder, swapped.folder))).toEqual(['drain']);
    const wraps = promoted(original().of('submit')).filter((name) => name.startsWith('wrap.'));
    expect(new Set(wraps).size).toBe(2);
    // By hand, for no compiler makes code that differs in nothing else: the partition's call to queue.c's goes to account.c's.
    const folders = ['hand-a', 'hand-b'].map((name) => join(folder, name));
    for (const to of folders) cpSync(original().folder, to, { recursive: true });
    const path = original().of('submit').replace(original().folder, folders[1]!);
    exchangeNames(path, wraps[0]!, wraps[1]!);
    expect(changed(await diff(folders[0]!, folders[1]!))).toContain('submit');
  });

  test('a static that one build promotes and the other does not is no change', async () => {
    // An edit changes what is worth importing. Silent failure: the function is told as removed and new, and its variable starts anew.
    const edit = { edits: { queue: ['int queue_push(', '__attribute__((noinline)) int queue_push('] } } as const;
    const names = (path: string): string[] => symbolsOf(path).map(({ name }) => name);
    // Without ENDBR, which a function that nobody refers to from elsewhere does without: that is a change.
    const flags = ['-fcf-protection=none'];
    const [before, after] = [build('promoted', { flags }), build('kept', { ...edit, flags })];
    for (const name of ['wrap', 'pushed', 'tracing']) {
      expect(names(before.of('queue'))).not.toContain(name);
      expect(names(after.of('queue'))).toContain(name);
    }
    const result = await diff(before.folder, after.folder);
    // queue_push is no longer part of submit; its own code is what it was.
    expect(changed(result)).toEqual(['submit']);
    expect(data(result)).toEqual([]);
    // Where all users of a variable changed as well, it is still the one of the only unit.
    const withEndbr = await diff(original().folder, build('kept-ibt', edit).folder);
    expect(changed(withEndbr)).toEqual([expect.stringMatching(/^wrap\.llvm\./), 'submit']);
    expect(found(withEndbr)).toEqual([]);
  });

  test('constants that the compiler named count by content, wherever they are defined', async () => {
    // Code that was imported refers to the other partition's `.str.llvm.<hash>`. Silent failure: a text that changed under a name that did
    // not, so that the importing function goes on with the old one.
    const text = (value: string, ...more: string[]): string[] => [
      '\tif (static_branch(&tracing))',
      `\ttrace("${value}");\n\tif (static_branch(&tracing))`,
      'static int pushed;',
      'static int pushed;\nvoid trace(const char *);',
      ...more,
    ];
    const before = build('text', { edits: { queue: text('traced') } });
    expect(promoted(before.of('submit')).some((name) => name.startsWith('.str'))).toBe(true);
    expect(
      changed(
        await diff(before.folder, build('text-same', { edits: { queue: text('traced', ...EDIT.edits.queue) } }).folder),
      ),
    ).toEqual(['queue_pop']);
    expect(
      changed(await diff(before.folder, build('text-changed', { edits: { queue: text('TRACED') } }).folder)),
    ).toEqual(['queue_push', 'submit']);
  });

  test('static locals of one name keep their twins', async () => {
    // queue_pop.last and report.last, told apart by their functions; an edited unit brings a third. Silent failure: a counter that
    // is bound to another function's.
    const third = build('third', {
      edits: {
        queue: [
          'int queue_push(struct queue *q, int value) {',
          'int queue_push(struct queue *q, int value) {\n\tstatic int last;\n\n\tlast += value;\n\tif (last < 0)\n\t\treturn last;',
        ],
      },
    });
    const result = await diff(original().folder, third.folder);
    expect(data(result)).toEqual([expect.stringMatching(/^queue_push\.last/)]);
    expect(changed(result)).toEqual(expect.arrayContaining(['queue_push']));
    expect(changed(result)).not.toContain('queue_pop');
  });
});

describe('one partition by itself', () => {
  test('the edited unit changed its function only; another one nothing', async () => {
    expect(changed(await diff(original().of('queue'), patched().of('queue')))).toEqual(['queue_pop']);
    expect((await diff(original().of('account'), patched().of('account'))).verdict).toBe('unchanged');
  });
});

describe('create-diff-object on partitions', () => {
  // Both statics of the parent that are promoted are local there: their visibility is hidden.
  const parent = (): string => image(original().linked);
  const strings = (path: string): string[] =>
    readelf(path, '-p', '.kpatch.strings').flatMap((line) => /^\[\s*[0-9a-f]+\]\s+(.*)$/.exec(line)?.[1] ?? []);
  const hashed = (build: Partitions): string => promoted(build.of('queue')).find((name) => name.startsWith('wrap.'))!;

  test('the edited function alone, and promoted names as the running kernel has them', async () => {
    expect(readelf(parent(), '-sW').find((line) => line.endsWith(hashed(original())))).toMatch(/ LOCAL /);
    expect(hashed(patched())).not.toBe(hashed(original()));
    const output = join(folder, 'kpatch.o');
    const ran = await kpatchDiff(original().of('queue'), patched().of('queue'), parent(), output);
    expect(ran).toEqual({ exit: 0, lines: ['changed function: queue_pop'], diagnostics: [] });
    // Silent failure: PATCHED's hash is a name that no kernel has, and the module is refused when it is loaded.
    expect(strings(output)).toContain(hashed(original()));
    expect(strings(output)).not.toContain(hashed(patched()));
    expect(readelfComplaints(output)).toBe('');
  });

  test('a partition that only refers to other hashes is no change, although .comment and .llvm_addrsig differ', async () => {
    const output = join(folder, 'kpatch-same.o');
    writeFileSync(join(folder, 'comment'), 'imported from a unit of another compiler\0');
    const other = join(folder, 'other-comment.o');
    execFileSync('objcopy', [
      '--update-section',
      `.comment=${join(folder, 'comment')}`,
      '--remove-section',
      '.llvm_addrsig',
      patched().of('submit'),
      other,
    ]);
    expect(readelf(other, '-p', '.comment').join('\n')).toContain('another compiler');
    expect(await kpatchDiff(original().of('submit'), other, parent(), output)).toEqual({
      exit: 3,
      lines: [],
      diagnostics: [],
    });
  });

  test("a changed function refers to another partition's static under the hash of the running kernel", async () => {
    const both = build('both', {
      edits: { ...EDIT.edits, submit: ['return report(3, "submit");', 'return report(4, "submit");'] },
    });
    const output = join(folder, 'kpatch-both.o');
    expect(await kpatchDiff(original().of('submit'), both.of('submit'), parent(), output)).toMatchObject({
      exit: 0,
      lines: ['changed function: submit'],
    });
    expect(strings(output)).toContain(hashed(original()));
    expect(strings(output)).not.toContain(hashed(both));
  });

  test('a static that the running kernel has under no such hash is not guessed', async () => {
    // A parent in which the unit's statics were not promoted: its only `wrap`s are locals of two units.
    const output = join(folder, 'kpatch-guess.o');
    const edit = { edits: { submit: ['return report(3, "submit");', 'return report(4, "submit");'] } } as const;
    const other = units(join(folder, 'plain')).of('queue');
    const ran = await kpatchDiff(original().of('submit'), build('three', edit).of('submit'), other, output);
    expect(ran.exit).toBe(1);
    expect(ran.diagnostics.map(({ code, where }) => [code, where.symbol])).toContainEqual([
      'not-in-kernel',
      hashed(original()),
    ]);
  });
});

describe('a livepatch of objects that objtool has not seen', () => {
  const livepatch = async (output: string): Promise<Ran> => {
    writeFileSync(
      join(folder, 'Module.symvers'),
      ['__fentry__', '__x86_return_thunk', 'klp_enable_patch', 'module_layout']
        .map((name) => `0x00000000\t${name}\tvmlinux\tEXPORT_SYMBOL\t\n`)
        .join(''),
    );
    templateOf(folder);
    const argv = [
      'diff',
      original().of('queue'),
      patched().of('queue'),
      '-o',
      join(folder, output),
      '--symvers',
      join(folder, 'Module.symvers'),
      '--json',
      '--progress',
      'none',
      '--run-dir',
      join(folder, 'run'),
    ];
    return running(output.endsWith('.ko') ? [...argv, '--template', join(folder, 'template.ko')] : argv);
  };

  test('a module for an IBT kernel is refused: it would have no stack layouts, seals or return sites', async () => {
    const sections = readelf(original().of('queue'), '-SW').join('\n');
    expect(sections).not.toMatch(/\.orc_unwind|\.return_sites|\.ibt_endbr_seal/);
    // Silent failure: a module that loads, whose stacks are unreliable, so that transitions never end.
    const ran = await livepatch('refused.ko');
    expect(ran.status).toBe(2);
    const told = resultOf(ran).diagnostics.filter(({ code }) => code === 'before-objtool');
    expect(told).toEqual([
      expect.objectContaining({
        severity: 'refusal',
        message: expect.stringContaining('objtool has not run'),
        where: { object: 'vmlinux' },
      }),
    ]);
    expect(existsSync(join(folder, 'refused.ko'))).toBe(false);
  });

  test('an object for klp-build, which runs objtool itself, is written; `link` refuses it', async () => {
    const ran = await livepatch('written.o');
    expect(ran.status).toBe(0);
    expect(readelf(join(folder, 'written.o'), '-sW').join('\n')).toContain(
      `.klp.sym.vmlinux.${promoted(original().of('queue')).find((name) => name.startsWith('wrap.'))}`,
    );
    const linked = await running([
      'link',
      join(folder, 'written.o'),
      '-o',
      join(folder, 'linked.ko'),
      '--symvers',
      join(folder, 'Module.symvers'),
      '--template',
      join(folder, 'template.ko'),
      '--json',
    ]);
    expect(linked.status).toBe(2);
    expect(
      (JSON.parse(linked.stdout) as { diagnostics: Array<{ code: string }> }).diagnostics.map(({ code }) => code),
    ).toContain('before-objtool');
  });
});

test('PATCHED before objtool and ORIG after it are refused', () => {
  // Silent failure: code without stack layouts in a kernel that has them for all else.
  const unit = (value: number): ObjectBuilder =>
    object()
      .file('x.c')
      .func('f', body(movEax(value)));
  const layouts = (built: ObjectBuilder): ObjectBuilder =>
    built.special('.orc_unwind_ip', ref32('f')).special('.orc_unwind', Buffer.alloc(6));
  expect(diffObjects(layouts(unit(1)), unit(2)).told).toEqual(['before-objtool .orc_unwind_ip']);
  expect(diffObjects(layouts(unit(1)), layouts(unit(2))).told.join()).not.toContain('before-objtool');
});

describe('two single objects', () => {
  const unit = (name: string, ...others: string[]): ObjectBuilder =>
    object()
      .file('x.c')
      .rodata('CSWTCH.3', [ptr64(name), ptr64('plain')], { bind: 'local' })
      .func('f', body(lea('CSWTCH.3'), call(name), ...others.map(call)));

  test('tables and code that refer to a promoted name under one hash in each build', () => {
    expect(diffObjects(unit('wrap.llvm.11'), unit('wrap.llvm.22'))).toMatchObject(NOTHING);
    expect(Object.keys(diffObjects(unit('wrap.llvm.11'), unit('wipe.llvm.22')).changed)).toEqual(['f']);
  });

  test('a hash that both builds have is that of a unit which was not edited', () => {
    // Silent failure: a call that went from one unit's `wrap` to another's is no change, for the names are the same.
    expect(
      Object.keys(
        diffObjects(
          unit('wrap.llvm.11', 'state.llvm.11', 'other.llvm.22'),
          unit('wrap.llvm.22', 'state.llvm.11', 'other.llvm.22'),
        ).changed,
      ),
    ).toEqual(['f']);
    expect(
      Object.keys(diffObjects(unit('wrap.llvm.11', 'wrap.llvm.12'), unit('wrap.llvm.12', 'wrap.llvm.11')).changed),
    ).toEqual(['f']);
  });

  test('numbered names prove nothing', () => {
    for (const name of ['.str.3', '__const.f.x', 'f.last.2'])
      expect(Object.keys(diffObjects(unit(`${name}.llvm.11`), unit(`${name}.llvm.22`)).changed)).toEqual(['f']);
  });
});

/** Exchanges two names of equal length in an object's string table. */
function exchangeNames(path: string, a: string, b: string): void {
  const bytes = readFileSync(path);
  const [x, y] = [bytes.indexOf(`${a}\0`), bytes.indexOf(`${b}\0`)];
  if (x < 0 || y < 0 || a.length !== b.length) throw new Error(`${a} and ${b} cannot be exchanged`);
  bytes.write(b, x, 'latin1');
  bytes.write(a, y, 'latin1');
  writeFileSync(path, bytes);
}
