import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DECODERS, atFirstUse, bundle, lazyEnums, lazyExports, lazyRequires, root } from '../scripts/bundle.mjs';

test('a bundled pool maps a file in its threads', async () => {
  const directory = mkdtempSync(join(root, 'dist/pool-test-'));
  try {
    await bundle('test/support/pool-main.ts', join(directory, 'main.js'));
    await bundle('test/support/pool-thread.ts', join(directory, 'thread.js'));
    await bundle('node_modules/piscina/dist/worker.js', join(directory, 'pool-worker.js'));
    const file = join(root, 'package.json');
    const answers: unknown = JSON.parse(
      execFileSync(process.execPath, [join(directory, 'main.js'), file], { encoding: 'utf8' }),
    );
    const head = [...readFileSync(file).subarray(0, 4)];
    expect(answers).toEqual(head.map((byte) => ({ byte, inThread: true })));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the bundle is ASCII and holds nothing of node-pre-gyp', () => {
  const text = readFileSync(join(root, 'dist/cli.js'));
  expect(text.includes('@mapbox')).toBe(false);
  expect(text.every((byte) => byte < 0x80)).toBe(true);
});

/** Decoders that the verifier alone has. */
const VERIFYS: ReadonlySet<string> = new Set(['xz-decompress', '@bokuweb/zstd-wasm', 'fflate']);

test.each(['cli', 'stage'])(
  '%s.js has no decoder of kernel images within: a run without an image would compile it',
  (name) => {
    const text = readFileSync(join(root, `dist/${name}.js`), 'latin1');
    for (const decoder of DECODERS) {
      // What only the decoder says: its longest literal, or the middle of its code.
      const own = readFileSync(join(root, `dist/${decoder}.js`), 'latin1');
      const part = own.slice(own.length >> 1, (own.length >> 1) + 200);
      expect(part).toHaveLength(200);
      expect(text.includes(part), decoder).toBe(false);
      // verify, which no thread does, unpacks by means of its own.
      expect(text.includes(`require("./${decoder}.js")`), decoder).toBe(name === 'cli' || !VERIFYS.has(decoder));
    }
  },
);

test('V8 takes the code cache that the build wrote, and is not given one of another bundle', () => {
  const copy = mkdtempSync(join(root, 'dist/cache-test-'));
  const rejected = (): string => {
    const program = `const { script } = require('./main.js').load(); console.log(script.cachedDataRejected)`;
    return execFileSync(process.execPath, ['-e', program], { cwd: copy, encoding: 'utf8' }).trim();
  };
  try {
    for (const file of ['main.js', 'cli.js', 'cli.cache']) cpSync(join(root, 'dist', file), join(copy, file));
    expect(rejected()).toBe('false');
    const cli = join(copy, 'cli.js');
    const text = readFileSync(cli, 'latin1');
    writeFileSync(cli, `${text.slice(0, -17)}${'0'.repeat(16)}\n`, 'latin1');
    expect(rejected()).toBe('undefined');
  } finally {
    rmSync(copy, { recursive: true });
  }
});

test.each(['cli', 'stage'])('%s.cache names no folder of the machine that built it', (name) => {
  // V8 takes a script's name from the cache: traces of every installation said where the package was built.
  const cache = readFileSync(join(root, `dist/${name}.cache`));
  expect(cache.includes(`${name}.js`)).toBe(true);
  expect(cache.includes(root)).toBe(false);
});

test('a lazy require runs once, at the first use', () => {
  const source = lazyRequires(
    [
      'const a_1 = require("a");',
      'exports.twice = () => (0, a_1.f)() + new a_1.C().x;',
      'const b_1 = require("b");',
    ].join('\n'),
  );
  const asked: string[] = [];
  const exported: { twice?: () => number } = {};
  const load = (name: string): object => {
    asked.push(name);
    return {
      f: () => 1,
      C: class {
        x = 2;
      },
    };
  };
  new Function('require', 'exports', source)(load, exported);
  expect(asked).toEqual([]);
  expect(exported.twice!() + exported.twice!()).toBe(6);
  expect(asked).toEqual(['a']);
});

test('the command line loads a part of the library when it asks for something of it', () => {
  const text = readFileSync(join(root, 'src/index.ts'), 'utf8');
  const asked: string[] = [];
  const module = { exports: {} as Record<string, unknown> };
  new Function('module', 'require', lazyExports(text))(module, (file: string) => {
    asked.push(file);
    return { runs: 7, structSizesFrom: 8 };
  });
  // Each value that the sources export, and no type.
  const names = Object.keys(createRequire(__filename)('klpflow') as object);
  expect(Object.keys(module.exports).sort()).toEqual(names.sort());
  expect(asked).toEqual([]);
  expect([module.exports['runs'], module.exports['kpatchStructSizes'], asked]).toEqual([
    7,
    8,
    ['./library/scan', './tools/kpatch/struct-sizes'],
  ]);
  expect(() => lazyExports("export { a } from './a';\nexport const b = 1;")).toThrow('src/index.ts has more');
});

test('a lazy enum is made once, when it is asked for', () => {
  // The threads' bundle made all 41 of iced-x86 whenever one instruction was to be decoded: longer than compiling its WebAssembly.
  const source = lazyEnums(
    [
      'module.exports.Code = Object.freeze({ INVALID:0,"0":"INVALID",',
      '/** Nop */',
      'NOP:made(),"1":"NOP", });',
      'module.exports.f = () => 7;',
    ].join('\n'),
  );
  let times = 0;
  const module = { exports: {} as { Code: { INVALID: number; NOP: number; 0: string }; f: () => number } };
  new Function('module', 'made', source)(module, () => ++times);
  expect([Object.keys(module.exports), module.exports.f(), times]).toEqual([['Code', 'f'], 7, 0]);
  expect([module.exports.Code.NOP, module.exports.Code[0], module.exports.Code.INVALID, times]).toEqual([
    1,
    'INVALID',
    0,
    1,
  ]);
  expect(Object.isFrozen(module.exports.Code)).toBe(true);
  expect(() => lazyEnums('module.exports.Code = {};')).toThrow('iced-x86 changed');
});

test('a class of a module that is loaded at first use can be made', () => {
  const code = 'var import_node_crypto=require("node:crypto");made=new import_node_crypto.X509Certificate(der);';
  const late = atFirstUse(code);
  expect(late).toContain('new (require("node:crypto")).X509Certificate(der)');
  // Without the brackets require itself would be the class.
  expect(() => new Function('require', 'der', `var made;${late}`)(() => ({ X509Certificate: class {} }))).not.toThrow();
});
