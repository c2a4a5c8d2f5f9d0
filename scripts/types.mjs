/** dist/index.d.ts: the library's types in one file that imports nothing, so that no other package's types have to be installed. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { replace, root } from './bundle.mjs';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'klpflow-types-'));
const run = (program, ...words) =>
  execFileSync(process.execPath, [createRequire(import.meta.url).resolve(program), ...words], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
try {
  run('typescript/bin/tsc', '-p', 'tsconfig.types.json', '--outDir', folder);
  fs.cpSync(path.join(root, 'src/records/generated'), path.join(folder, 'src/records/generated'), { recursive: true });
  const compilerOptions = {
    lib: ['ES2023'],
    module: 'preserve',
    moduleResolution: 'bundler',
    skipLibCheck: true,
    strict: true,
    target: 'ES2022',
    typeRoots: [path.join(root, 'node_modules/@types')],
    types: ['node'],
  };
  const project = path.join(folder, 'tsconfig.json');
  fs.writeFileSync(project, JSON.stringify({ compilerOptions, include: ['src'] }));
  const [entry, made] = [path.join(folder, 'src/index.d.ts'), path.join(folder, 'index.d.ts')];
  run(
    'dts-bundle-generator/dist/bin/dts-bundle-generator.js',
    '--silent',
    '--no-check',
    '--no-banner',
    '--project',
    project,
    '--export-referenced-types=false',
    '-o',
    made,
    entry,
  );
  replace(path.join(root, 'dist/index.d.ts'), fs.readFileSync(made));
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
