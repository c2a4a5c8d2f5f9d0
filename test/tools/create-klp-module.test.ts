/**
 * The tail of kpatch's flow: objects of create-diff-object linked with a hook, then `create-klp-module`, read back with
 * binutils. Units and hook are compiled here; other processors' objects come from kpatch's unit tests.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDiffObject, createKlpModule } from '../../src';
import { skipWithout, unavailable } from '../support/corpus';
import { compileUnits, linkWithHook, noCompiler, type CompiledUnit } from '../support/kpatch-sources';
import { contentSections, relasOf, runUnit, textSymbols } from '../support/kpatch-units';
import { readelf, readelfComplaints } from '../support/readelf';
import { running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();

const SYMVERS =
  '0x00000001\tof_vmlinux\tvmlinux\tEXPORT_SYMBOL\t\n0x00000002\tprintk\tdrivers/misc/foo-bar\tEXPORT_SYMBOL\t\n';

async function diffUnit(
  { orig, patched, symtab }: CompiledUnit,
  output: string,
  parentName = 'vmlinux',
): Promise<string[]> {
  const symvers = join(folder, 'Module.symvers');
  writeFileSync(symvers, SYMVERS);
  const lines: string[] = [];
  const { exit, diagnostics } = await createDiffObject({
    orig,
    patched,
    parentName,
    parentSymtab: symtab,
    symvers,
    output,
    klpArch: false,
    structSizes: {},
    print: (line) => lines.push(line.replace(/^[^:]*: /, '')),
  });
  expect({ exit, diagnostics }).toEqual({ exit: 0, diagnostics: [] });
  return lines;
}

describe('units compiled here', () => {
  const missing = noCompiler();
  let lines: string[] = [];
  let secondLines: string[] = [];
  const [first, second] = [join(folder, 'first.o'), join(folder, 'second.o')];
  const module = join(folder, 'livepatch.ko');
  beforeAll(async () => {
    if (missing !== undefined) return;
    const units = compileUnits(folder);
    lines = await diffUnit(units.first, first);
    secondLines = await diffUnit(units.second, second);
    await createKlpModule({
      input: linkWithHook(folder, [first, second]),
      output: module,
      archSections: false,
      environment: {},
    });
  });
  beforeEach((context) => skipWithout(context, missing));

  // Guards against markers that are overlooked: an ignored function that is replaced, a callback that never runs.
  test('what the author marked is told, in order', () => {
    expect(lines).toEqual([
      'WARNING: unable to correlate static local variable calls.0 used by before, assuming variable is new',
      'ignoring section: .data.tagged',
      'ignoring function: ignored',
      'found callback: before',
      "function 'target' marked with KPATCH_FORCE_UNSAFE!",
      'new function: before',
      'changed function: target',
    ]);
  });

  // Guards against a part without an ftrace site that is copied and never called: only its function can be redirected.
  test('a part that was split off is replaced through its function', () => {
    expect(secondLines[0]).toBe('found callback: after');
    expect(secondLines.slice(1).sort()).toEqual([
      'changed function: second',
      'changed function: whole',
      'new function: after',
    ]);
    expect(textSymbols(second).sort()).toEqual(['after', 'second', 'whole', 'whole.part.0']);
    expect(contentSections(second)['.kpatch.funcs']).toBe(2 * 56);
  });

  // Guards against a reference that binds to the wrong thing: the kernel's own variable, another module's export, a new variable.
  test('references leave by what the parent and the exports have', () => {
    expect(relasOf(first, '.rela.text.target').filter((rela) => !rela.includes('__fentry__'))).toEqual([
      'R_X86_64_PLT32 of_vmlinux - 4',
      'R_X86_64_32S limits + 0',
      'R_X86_64_PC32 fresh_global - 4',
    ]);
    // A constant that changed goes along with the code that reads it.
    expect(contentSections(first)).toMatchObject({ '.rodata.limits': 16 });
    expect(
      readelf(first, '-p', '.kpatch.strings')
        .flatMap((line) => /^\[\s*[0-9a-f]+\]\s+(.*)$/.exec(line)?.[1] ?? [])
        .sort(),
    ).toEqual(['counter', 'foo_bar', 'local_helper', 'printk', 'table', 'target', 'vmlinux']);
    const symbols = readelf(first, '-sW');
    const bound = (name: string): string | undefined =>
      symbols.find((line) => line.endsWith(` ${name}`))?.split(/\s+/)[4];
    expect({
      target: bound('target'),
      fresh: bound('fresh_global'),
      unreferenced: bound('unreferenced_global'),
      ignored: bound('ignored'),
    }).toEqual({ target: 'LOCAL', fresh: 'GLOBAL', unreferenced: 'GLOBAL', ignored: undefined });
  });

  // Guards against a module that loads and patches nothing, or relocates at the wrong time.
  test("the module has klp relocations and symbols in the kernel's form, and the hook's arrays are whole", () => {
    expect(readelfComplaints(module)).toBe('');
    const sections = contentSections(module);
    expect(sections).toMatchObject({
      '.kpatch.funcs': 3 * 56,
      '.kpatch.callbacks.pre_patch': 16 + 8,
      '.kpatch.callbacks.post_patch': 8,
      '.kpatch.callbacks.post_unpatch': 16 + 8,
      '.kpatch.force': 8,
    });
    expect(Object.keys(sections).filter((name) => /^\.kpatch\.(symbols|relocations|arch)$/.test(name))).toEqual([]);
    const klp = readelf(module, '-SW').filter((line) => line.includes('.klp.rela.'));
    expect(klp.map((line) => /(\.klp\.rela\S+)\s+RELA.*\s18\s+(\w+)\s/.exec(line)?.slice(1))).toEqual([
      ['.klp.rela.vmlinux..text.before', 'AIo'],
      ['.klp.rela.vmlinux..text.target', 'AIo'],
    ]);
    expect(relasOf(module, '.klp.rela.vmlinux..text.target')).toEqual([
      'R_X86_64_PC32 .klp.sym.vmlinux.local_helper,1 - 4',
      'R_X86_64_32S .klp.sym.vmlinux.table,0 + 0',
    ]);
    expect(relasOf(module, '.klp.rela.vmlinux..text.before').sort()).toEqual([
      'R_X86_64_PC32 .klp.sym.vmlinux.counter,1 - 4',
      'R_X86_64_PLT32 .klp.sym.foo_bar.printk,0 - 4',
    ]);
    const named = readelf(module, '-sW').filter((line) => line.includes('.klp.sym.'));
    expect(named.length).toBe(4);
    expect(named.filter((line) => !line.includes('OS [0xff20]'))).toEqual([]);
    const bounds = Object.fromEntries(
      readelf(module, '-sW').flatMap((line) =>
        /__kpatch_(funcs|force_funcs)(_end)?$/.test(line)
          ? [[line.split(/\s+/).at(-1)!, parseInt(line.split(/\s+/)[1]!, 16)]]
          : [],
      ),
    );
    expect(bounds['__kpatch_funcs_end']! - bounds['__kpatch_funcs']!).toBe(168);
    expect(bounds['__kpatch_force_funcs_end']! - bounds['__kpatch_force_funcs']!).toBe(8);
    expect(relasOf(module, '.rela.kpatch.funcs').filter((rela) => !rela.includes('.kpatch.strings'))).toEqual([
      'R_X86_64_64 target + 0',
      'R_X86_64_64 second + 0',
      'R_X86_64_64 whole + 0',
    ]);
  });

  // Guards against a livepatch of a module that is resolved before that module is there.
  test('a module as parent owns relocations and functions; its exports are marked', async () => {
    const units = compileUnits(folder);
    const [object, linked] = [join(folder, 'module.o'), join(folder, 'module.ko')];
    await diffUnit(units.first, object, 'some_module');
    await createKlpModule({ input: object, output: linked, archSections: true, environment: {} });
    expect(relasOf(linked, '.klp.rela.some_module..text.target')).toEqual([
      'R_X86_64_PC32 .klp.sym.some_module.local_helper,1 - 4',
      'R_X86_64_32S .klp.sym.some_module.table,0 + 0',
    ]);
    expect(relasOf(linked, '.klp.rela.some_module..text.before')).toContain(
      'R_X86_64_PLT32 .klp.sym.foo_bar.printk,0 - 4',
    );
    expect(relasOf(linked, '.rela.text.target')).toContain('R_X86_64_PLT32 of_vmlinux - 4');
    // struct kpatch_relocation: 1 at 12 where the symbol is exported, which of these four only printk is.
    const bytes = readFileSync(object);
    const [, , offset] = /\.kpatch\.relocations\s+PROGBITS\s+(\S+) (\S+)/.exec(
      readelf(object, '-SW').find((line) => / \.kpatch\.relocations /.test(line))!,
    )!;
    const external = [0, 1, 2, 3].map((i) => bytes.readUInt32LE(parseInt(offset!, 16) + i * 40 + 12));
    expect([...external].sort()).toEqual([0, 0, 0, 1]);
  });

  // Guards against debug information that describes other code than it is found at.
  test('debug information goes along, with what was copied', async () => {
    const units = compileUnits(folder, true);
    const object = join(folder, 'debug.o');
    await diffUnit(units.first, object);
    expect(readelfComplaints(object)).toBe('');
    const named = new Set(
      relasOf(object, '.rela.debug_info')
        .map((rela) => rela.split(' ')[1]!)
        .filter((name) => !name.startsWith('.debug_')),
    );
    expect([...named].sort()).toEqual(expect.arrayContaining(['.data.fresh_global', '.text.before', '.text.target']));
    expect([...named].filter((name) => /ignored|unchanged|local_helper/.test(name))).toEqual([]);
  });

  // Guards against damaged tables that are followed out of the file.
  test('tables that do not belong together are refused', async () => {
    const damaged = join(folder, 'damaged.ko');
    for (const [name, from, to] of [
      ['no strings', '.kpatch.strings', '.kpatch.strinks'],
      ['no symbols', '.kpatch.symbols', '.kpatch.symbolz'],
    ] as const) {
      const bytes = readFileSync(first);
      const at = bytes.indexOf(`${from}\0`);
      expect(at, name).toBeGreaterThan(0);
      bytes.write(to, at, 'latin1');
      writeFileSync(damaged, bytes);
      await expect(
        createKlpModule({ input: damaged, output: join(folder, 'never.ko'), archSections: false, environment: {} }),
      ).rejects.toMatchObject({ diagnostic: { code: 'malformed-kpatch-object' } });
    }
    copyFileSync(join(folder, 'hook.o'), damaged);
    const ran = await running(['create-klp-module', '-n', damaged, join(folder, 'never.ko')]);
    expect(ran).toMatchObject({ status: 1, stdout: '' });
    expect((await running(['create-klp-module', damaged])).status).toBe(64);
  });

  // Guards, for root, against a file in place of /dev/null; and against a module in place that is cut short.
  test('the output replaces nothing but a file, which may be the input', async () => {
    const [linked, pipe] = [join(folder, 'linked.ko'), join(folder, 'pipe.ko')];
    copyFileSync(linkWithHook(folder, [first]), linked);
    execFileSync('mkfifo', [pipe]);
    expect(await running(['create-klp-module', '-n', linked, pipe])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('not a regular file'),
    });
    expect(statSync(pipe).isFIFO()).toBe(true);
    expect(await running(['create-klp-module', '-n', linked, '/dev/nothing.ko'])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('no place for files'),
    });
    expect(await running(['create-klp-module', '-n', linked, join(folder, 'finished.ko')])).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(await running(['create-klp-module', '-n', linked, linked])).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(linked).equals(readFileSync(join(folder, 'finished.ko')))).toBe(true);
  });
});

describe("kpatch's unit-test objects", () => {
  beforeEach((context) =>
    skipWithout(context, unavailable('kpatch-unit/x86_64', false) ?? unavailable('kpatch-unit/s390x', false)),
  );

  // Guards against paravirt sites that the kernel would patch before the patched object is there, or at half an entry.
  test(".klp.arch sections, for which the entry's size is needed", async () => {
    const { output } = await runUnit('x86_64', 'special-static', folder, { klpArch: true });
    const module = join(folder, 'arch.ko');
    await createKlpModule({
      input: output,
      output: module,
      archSections: true,
      environment: { PARA_STRUCT_SIZE: '16' },
    });
    expect(contentSections(module)).toMatchObject({ '.klp.arch.vmlinux..parainstructions': 12 });
    expect(contentSections(module)).not.toHaveProperty('.parainstructions');
    expect(relasOf(module, '.rela.klp.arch.vmlinux..parainstructions').length).toBe(1);
    await expect(
      createKlpModule({ input: output, output: module, archSections: true, environment: {} }),
    ).rejects.toMatchObject({ diagnostic: { code: 'usage' } });
  });

  // Guards against records in the byte order of the machine that the differ runs on, and against one processor's relocation numbers.
  test.each([
    ['s390x', 'data-new', 'R_390_'],
    ['ppc64le', 'new-function', 'R_PPC64_'],
    ['aarch64', 'new-function', 'R_AARCH64_'],
    ['loongarch64', 'new-function', 'R_LARCH_'],
  ] as const)("%s: %s in the target's byte order", async (processor, name, prefix) => {
    const { output } = await runUnit(processor, name, folder);
    const module = join(folder, `${processor}.ko`);
    await createKlpModule({ input: output, output: module, archSections: false, environment: {} });
    expect(readelfComplaints(module)).toBe('');
    const records = contentSections(output)['.kpatch.relocations']! / 40;
    const sections = readelf(module, '-SW').flatMap((line) => /(\.klp\.rela\S+)/.exec(line)?.[1] ?? []);
    const relas = sections.flatMap((section) => relasOf(module, section));
    expect(records).toBeGreaterThan(0);
    expect(relas.length).toBe(records);
    expect(relas.filter((rela) => !rela.startsWith(prefix) || !rela.includes(' .klp.sym.vmlinux.'))).toEqual([]);
  });
});
