// Formats AssemblyScript, or with --check tells which files are not formatted. AssemblyScript has decorators of functions
// (`@inline`), which no TypeScript parser reads: the formatter sees them as comments.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOMES } from './wasm.mjs';

const check = process.argv.includes('--check');
const unformatted = [];
const files = HOMES.flatMap((home) =>
  readdirSync(join(home, 'wasm'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ file: name, path: join(home, 'wasm', name) })),
);
for (const { file, path } of files) {
  const source = readFileSync(path, 'utf8');
  const { stdout, status, stderr } = spawnSync('npx', ['biome', 'format', `--stdin-file-path=${file}`], {
    input: source.replace(/^@inline$/gm, '//@inline'),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${path}: ${stderr}`);
  const formatted = stdout.replace(/^\/\/@inline$/gm, '@inline');
  if (formatted === source) continue;
  unformatted.push(path);
  if (!check) writeFileSync(path, formatted);
}
if (check && unformatted.length > 0) {
  console.error(`not formatted (npm run format): ${unformatted.join(', ')}`);
  process.exitCode = 1;
}
