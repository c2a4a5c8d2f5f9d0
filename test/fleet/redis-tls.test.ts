/**
 * Redis by TLS, with a user that may do no more than docs/fleet.md says, and what Prometheus is told. Guarded against: a connection that any certificate does for, a password
 * that goes over the wire, rights that BullMQ lacks in the middle of a run, and metrics that no parser reads.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { MatrixResult } from '../../src/index';
import { TestWorker, lasting, writeFleet } from '../support/fleet';
import { RedisServer, missingRedis } from '../support/redis-server';
import { errorOf, running, type Ran } from '../support/run-klpflow';
import { tempFolder } from '../support/temp-folder';

const folder = tempFolder();
const reason = missingRedis();
let server: RedisServer;
let worker: TestWorker | undefined;
let url = '';

/** The line of an ACL file that docs/fleet.md shows. */
function documentedUser(password: string): string {
  const [line] = /^user klpflow .*$/m.exec(readFileSync(join(__dirname, '../../docs/fleet.md'), 'utf8')) ?? [];
  expect(line).toContain('>PASSWORD');
  return line!.replace('>PASSWORD', `>${password}`);
}

function certificates(): void {
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = (name: string): string[] => ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
  openssl('req', '-x509', ...key('ca'), '-out', 'ca.crt', '-subj', '/CN=Test CA', '-days', '2');
  openssl('req', ...key('redis'), '-out', 'redis.csr', '-subj', '/CN=redis');
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const ca = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl('x509', '-req', '-in', 'redis.csr', ...ca, '-out', 'redis.crt', '-extfile', 'names', '-days', '2');
}

const matrix = (out: string, ...more: string[]): Promise<Ran> =>
  running(['matrix', 'fleet.yaml', '-o', out, '--json', '--progress', 'none', ...more], { cwd: folder });
const remote = (at: string): Promise<Ran> =>
  matrix('remote', '--run-dir', 'submitter', '--redis', at, '--store', 'store');
const parsed = ({ stdout, stderr }: Ran): MatrixResult => {
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as MatrixResult;
};

describe.skipIf(reason !== undefined)(reason ?? 'with redis-server', () => {
  beforeAll(async () => {
    certificates();
    writeFileSync(join(folder, 'users.acl'), `user default off\n${documentedUser('opensesame')}\n`);
    const files = ['--tls-cert-file', 'redis.crt', '--tls-key-file', 'redis.key', '--tls-ca-cert-file', 'ca.crt'].map(
      (word) => (word.startsWith('--') ? word : join(folder, word)),
    );
    const options = [...files, '--tls-auth-clients', 'no', '--aclfile', join(folder, 'users.acl')];
    server = await RedisServer.start(join(folder, 'redis'), options, true);
    url = `rediss://klpflow:opensesame@127.0.0.1:${server.port}`;
    await writeFleet(folder, 2, 3);
  });

  afterAll(async () => {
    await worker?.end('SIGKILL');
    await server?.kill();
  });

  test('a certificate that nobody vouches for, a wrong password and no TLS are refused', async () => {
    expect(errorOf(await remote(url))).toMatchObject({
      code: 'redis-unavailable',
      message: expect.stringMatching(/certificate/) as unknown,
    });
    vi.stubEnv('NODE_EXTRA_CA_CERTS', join(folder, 'ca.crt'));
    const wrong = await remote(url.replace('opensesame', 'wrong'));
    expect(errorOf(wrong).code).toBe('redis-unavailable');
    expect(wrong.stdout + wrong.stderr).not.toContain('wrong@');
    expect(errorOf(await remote(url.replace('rediss', 'redis'))).code).toBe('redis-unavailable');
  }, 120_000);

  test('a user with the rights that the document names is enough for a run, and Prometheus is told of it', async () => {
    vi.stubEnv('NODE_EXTRA_CA_CERTS', join(folder, 'ca.crt'));
    const place = ['--run-dir', 'worker', '--redis', url, '--store', 'store', '--metrics', '0'];
    worker = new TestWorker(folder, place);
    const remotely = parsed(await remote(url));
    expect(lasting(remotely)).toBe(lasting(parsed(await matrix('local', '--run-dir', 'alone'))));
    expect(worker.lines.filter(({ event }) => event === 'error')).toEqual([]);
    const { port } = (await worker.said(({ event }) => event === 'metrics')) as { port?: number };
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await answer.text();
    // The format: what is said of a metric, then all its lines, once.
    const said = [...text.matchAll(/^# TYPE (\w+) (?:counter|gauge)$/gm)].map(([, name]) => name);
    expect(new Set(said).size).toBe(said.length);
    for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('#')))
      expect(line).toMatch(/^\w+(?:\{\w+="[^"]*"(?:, ?\w+="[^"]*")*\})? [\d.e+-]+$/);
    expect(said).toEqual(
      expect.arrayContaining(['bullmq_job_count', 'bullmq_job_completed_total', 'klpflow_cells_total']),
    );
    const value = (name: string): number =>
      [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? ([\\d.]+)$`, 'gm'))].reduce(
        (sum, [, found]) => sum + Number(found),
        0,
      );
    // Cells of equal inputs are one job.
    expect(value('klpflow_cells_total')).toBe(6);
    expect(value('bullmq_job_completed_total')).toBe(6);
    expect(value('klpflow_cell_seconds_total')).toBeGreaterThan(0);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  }, 120_000);
});
