/** The manual page and the completions that the package installs: made from the manifest, so that they name every command and flag there is, and fit for their programs. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { committedManifest } from '../scripts/manifest.mjs';
import { shellFiles } from '../scripts/shell.mjs';
import { tempFolder } from './support/temp-folder';

const folder = tempFolder();
const files = shellFiles() as Record<string, string>;
const { commands } = JSON.parse(committedManifest()) as { commands: Record<string, { flags: Record<string, object> }> };

beforeAll(() => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
});

test('every command and flag is in the page and in bash completion', () => {
  for (const [id, { flags }] of Object.entries(commands)) {
    expect(files['man/klpflow.1']).toContain(`\\fBklpflow ${id.replaceAll(':', ' ').replaceAll('-', '\\-')}\\fR`);
    for (const name of Object.keys(flags)) {
      expect(files['man/klpflow.1']).toContain(`\\-\\-${name.replaceAll('-', '\\-')}\\fR`);
      expect(files['completions/klpflow.bash']).toContain(`--${name}`);
    }
  }
  for (const shell of ['completions/_klpflow', 'completions/klpflow.fish'])
    expect(files[shell]).toContain('module-image');
});

test('groff has nothing to complain of in the page', (context) => {
  const { error, stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', join(folder, 'man/klpflow.1')], {
    encoding: 'utf8',
  });
  if (error !== undefined) context.skip('groff is not installed');
  expect(stderr).toBe('');
  expect(stdout).toContain('klpflow explain');
});

describe('bash', () => {
  /** What is offered for the last word. */
  const offered = (...words: string[]): string[] => {
    const script = `source ${join(folder, 'completions/klpflow.bash')}; COMP_WORDS=(klpflow ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _klpflow; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: folder });
    expect([status, stderr]).toEqual([0, '']);
    return stdout.split('\n').filter((line) => line !== '');
  };

  test('completes commands, topics, flags, values and files', () => {
    expect(offered('ex')).toEqual(['explain', 'extract']);
    expect(offered('objtool', '')).toEqual(['klp']);
    expect(offered('objtool', 'klp', 'ch')).toEqual(['checksum']);
    expect(offered('diff', 'a.o', 'b.o', '--al')).toEqual(['--allow', '--also']);
    expect(offered('runs', '--')).not.toContain('--allow');
    expect(offered('diff', '--format', 'k').sort()).toEqual(['klp', 'ko', 'kpatch']);
    expect(offered('diff', 'comp')).toEqual(['completions']);
  });
});

test.each([
  ['zsh', 'completions/_klpflow'],
  ['fish', 'completions/klpflow.fish'],
])('%s reads its completion', (shell, file) => {
  const quotes = files[file]!.replace(/\\./g, '').replace(/^#.*$/gm, '').match(/'/g)!.length;
  expect(quotes % 2).toBe(0);
  const { error, status, stderr } = spawnSync(shell, ['-n', join(folder, file)], { encoding: 'utf8' });
  if (error === undefined) expect([status, stderr]).toEqual([0, '']);
});
