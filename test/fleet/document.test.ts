/**
 * What docs/fleet.md tells people to type and to copy: every command is run, every unit and manifest is held against what systemd and Kubernetes ask for. Guarded against: a flag that
 * has another name by now, and an example that never worked.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { matrixOf } from '../../src/fleet/matrix';
import { readMatrixFile } from '../../src/fleet/matrix-file';
import { TestWorker, writeFleet } from '../support/fleet';
import { RedisServer, missingRedis } from '../support/redis-server';
import { MAIN, running } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const text = readFileSync(join(__dirname, '../../docs/fleet.md'), 'utf8');
const blocks = [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, kind, body]) => ({ kind: kind!, body: body! }));
const commands = blocks
  .filter(({ kind }) => kind === '')
  .flatMap(({ body }) => body.split('\n'))
  .filter((line) => line.startsWith('klpflow '));
const reason = missingRedis();
let server: RedisServer;

/** Flags of a command, from the manifest that `--help` is made of. */
function flagsOf(command: string): Set<string> {
  const { commands: all } = JSON.parse(readFileSync(join(__dirname, '../../oclif.manifest.json'), 'utf8')) as {
    commands: Record<string, { flags: Record<string, unknown> }>;
  };
  return new Set(Object.keys(all[command]!.flags));
}

/** As systemd and a shell take a line of no quotes apart. */
function checkFlags(words: readonly string[]): void {
  const [command, ...rest] = words;
  const known = flagsOf(command!);
  for (const word of rest.filter((one) => one.startsWith('--'))) expect(known, word).toContain(word.slice(2));
}

test('the matrix that is shown is one', async () => {
  const [{ body = '' } = {}] = blocks.filter(({ kind, body: found }) => kind === 'yaml' && found.includes('patches:'));
  const path = join(folder, 'shown.yaml');
  writeFileSync(path, body);
  const { cells } = matrixOf(await readMatrixFile(path));
  expect(cells.map(({ kernel, patch }) => `${kernel.name} ${patch.name}`)).toEqual([
    'debian-6.12 CVE-2026-1234',
    'debian-6.12 CVE-2026-2345',
    'debian-6.1 CVE-2026-1234',
  ]);
});

test('the unit is one that systemd takes', (context) => {
  const [unit] = blocks.filter(({ kind }) => kind === 'ini');
  const [, line = ''] = /^ExecStart=(.*)$/m.exec(unit!.body) ?? [];
  const [program, ...words] = line.split(' ');
  expect(program).toBe('/usr/bin/klpflow');
  checkFlags(words);
  // Cells are told by their worker what becomes of them: a signal to all of the group would end them.
  expect(unit!.body).toContain('KillMode=mixed\n');
  const path = join(folder, 'klpflow-worker.service');
  writeFileSync(path, unit!.body.replace(program!, `${process.execPath} ${MAIN}`));
  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' });
  if (verified.error !== undefined) return context.skip('systemd-analyze is not installed');
  expect(verified.stderr.split('\n').filter((said) => said.includes('klpflow-worker'))).toEqual([]);
});

interface Container {
  name: string;
  image: string;
  args: string[];
  env: Array<{ name: string }>;
  volumeMounts: Array<{ name: string }>;
  resources: { requests: { memory: string; cpu: string } };
}
interface Job {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: {
    parallelism: number;
    backoffLimit: number;
    template: { spec: { restartPolicy: string; containers: Container[]; volumes: Array<{ name: string }> } };
  };
}

test('the manifest is a Job of Kubernetes, whose flags klpflow has', () => {
  const [{ body = '' } = {}] = blocks.filter(({ kind, body: found }) => kind === 'yaml' && found.includes('kind: Job'));
  const documents = parseAllDocuments(body);
  for (const { errors } of documents) expect(errors).toEqual([]);
  const job = parse(body) as Job;
  expect(job).toMatchObject({ apiVersion: 'batch/v1', kind: 'Job' });
  expect(job.metadata.name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
  const { restartPolicy, containers, volumes } = job.spec.template.spec;
  // batch/v1 takes no other.
  expect(['Never', 'OnFailure']).toContain(restartPolicy);
  expect(job.spec.parallelism).toBeGreaterThan(0);
  for (const { name, image, args, env, volumeMounts, resources } of containers) {
    expect([name, image].every((value) => /^\S+$/.test(value))).toBe(true);
    checkFlags(args);
    expect(args.every((word) => typeof word === 'string')).toBe(true);
    expect(env.map((one) => one.name)).toEqual(expect.arrayContaining(['KLPFLOW_REDIS', 'KLPFLOW_STORE']));
    expect(volumes.map((one) => one.name)).toEqual(expect.arrayContaining(volumeMounts.map((one) => one.name)));
    expect(Object.keys(resources.requests).sort()).toEqual(['cpu', 'memory']);
  }
});

describe.skipIf(reason !== undefined)(reason ?? 'with redis-server', () => {
  beforeAll(async () => {
    server = await RedisServer.start(join(folder, 'redis'));
    await writeFleet(folder, 2, 3);
    mkdirSync(join(folder, 'store'));
  });
  afterAll(() => server?.kill());

  test('every command does what is said of it', { timeout: 120_000 }, async () => {
    expect(commands.length).toBeGreaterThanOrEqual(4);
    const here = (command: string): string[] =>
      command
        .replace(/\S*rediss?:\/\/\S+/, server.url)
        .replace('/srv/klpflow', 'store')
        .split(' ')
        .slice(1);
    const worker = new TestWorker(folder, ['--run-dir', 'worker', '--redis', server.url, '--store', 'store']);
    for (const command of commands) {
      const words = here(command);
      checkFlags(words);
      const more = words[0] === 'worker' ? ['--idle-exit', '1', '--run-dir', 'second'] : ['--run-dir', 'runs'];
      const { status, stderr } = await running([...words, ...more], { cwd: folder });
      // The worst of these cells is refused; a check, a status and a worker end well.
      const cells = words[0] === 'matrix' && !words.some((word) => /^--(?:check|status|detach)$/.test(word));
      expect(status, `${command}: ${stderr}`).toBe(cells ? 2 : 0);
    }
    expect(await worker.end()).toBe(0);
  });
});
