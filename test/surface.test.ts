/**
 * What people type is a contract. The snapshot holds every command, argument and flag of the built command line: one that
 * comes, goes or changes must change it too. `npm run surface` writes it, and oclif.manifest.json with it.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { committedManifest, manifest, root } from '../scripts/manifest.mjs';
import { CATALOGUE } from '../src/diagnostics';
import { diagnosticsDocument } from '../src/diagnostics/page';

interface Flag {
  char?: string;
  type: string;
  options?: string[];
  multiple?: boolean;
  required?: boolean;
  allowNo?: boolean;
  default?: unknown;
  aliases?: string[];
}

interface Arg {
  required?: boolean;
  multiple?: boolean;
  options?: string[];
}

interface Cached {
  aliases: string[];
  args: Record<string, Arg>;
  flags: Record<string, Flag>;
  hidden?: boolean;
  strict?: boolean;
}

const NEXT = 'npm run surface writes it';

test('commands and flags are those of the snapshot', async () => {
  const { commands } = JSON.parse(await manifest()) as { commands: Record<string, Cached> };
  const surface = Object.fromEntries(
    Object.entries(commands)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, { aliases, args, flags, hidden, strict }]) => [
        id.replaceAll(':', ' '),
        {
          ...(hidden === true ? { hidden } : {}),
          ...(strict === false ? { strict } : {}),
          ...(aliases.length > 0 ? { aliases } : {}),
          args: Object.entries(args).map(([name, { required, multiple, options }]) => ({
            name,
            ...given({ required, multiple, options }),
          })),
          flags: Object.fromEntries(
            Object.entries(flags)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([name, flag]) => [name, given(pick(flag))]),
          ),
        },
      ]),
  );
  await expect(`${JSON.stringify(surface, null, 2)}\n`).toMatchFileSnapshot(
    join(root, 'test/surface.snapshot.json'),
    NEXT,
  );
});

test('oclif.manifest.json is that of the built commands', async () => {
  expect(JSON.parse(committedManifest()), NEXT).toEqual(JSON.parse(await manifest()));
});

test('the built command line knows what the manifest says, and nothing else', () => {
  const { commands } = JSON.parse(committedManifest()) as { commands: Record<string, Cached> };
  const table = `Object.entries(require('./dist/main.js').load().cli.COMMANDS).map(([id, command]) => [id, typeof command.run])`;
  const text = execFileSync(process.execPath, ['-p', `JSON.stringify(${table})`], { cwd: root, encoding: 'utf8' });
  const built = JSON.parse(text) as [string, string][];
  expect(built.map(([id]) => id).sort()).toEqual(Object.keys(commands).sort());
  for (const [, run] of built) expect(run).toBe('function');
});

function pick({ char, type, options, multiple, required, allowNo, default: value, aliases }: Flag): Flag {
  return { type, char, options, multiple, required, allowNo, default: value, aliases } as Flag;
}

/** Without what is absent, empty or false. */
function given(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

test('docs/diagnostics.md is what the catalogue says', async () => {
  const text = diagnosticsDocument();
  for (const code of Object.keys(CATALOGUE)) expect(text).toContain(`\n## ${code}\n`);
  await expect(text, NEXT).toMatchFileSnapshot(join(root, 'docs/diagnostics.md'));
});
