/**
 * Ceph's radosgw, a server of S3's protocol that Debian has (packages radosgw, ceph-mon, ceph-osd): with one monitor and one store in memory, on loopback, ended by their
 * process numbers. It checks signatures and knows conditional writes.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from './redis-server';

const PROGRAMS = ['ceph', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin'];

/** Why tests with a bucket cannot run here; undefined where they can. Under KLPFLOW_REQUIRE_CORPUS nothing is skipped. */
export function missingBucket(): string | undefined {
  const missing = PROGRAMS.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
  if (missing.length === 0) return undefined;
  if (process.env['KLPFLOW_REQUIRE_CORPUS'] === '1') throw new Error(`${missing.join(', ')} is not installed`);
  return `${missing.join(', ')} is not installed (Debian packages radosgw, ceph-mon and ceph-osd)`;
}

const FSID = '6b6c7066-0000-4000-8000-000000000001';
const OSD = '6b6c7066-0000-4000-8000-000000000002';
const NAMES = { access: 'klpflow', secret: 'opensesame' } as const;

export class S3Server {
  private readonly children: ChildProcess[] = [];

  private constructor(
    private readonly folder: string,
    readonly port: number,
  ) {}

  static async start(folder: string): Promise<S3Server> {
    const server = new S3Server(folder, await freePort());
    const monitor = await freePort();
    for (const name of ['mon', 'osd', 'rgw']) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, 'keyring'), '');
    writeFileSync(join(folder, 'ceph.conf'), server.configuration(monitor));
    server.call('monmaptool', ['--create', '--fsid', FSID, '--addv', 'a', `[v1:127.0.0.1:${monitor}]`, 'monmap']);
    server.call('ceph-mon', ['-i', 'a', '--mkfs', '--monmap', 'monmap']);
    server.run('ceph-mon', ['-i', 'a', '-f']);
    server.call('ceph', ['osd', 'new', OSD]);
    server.call('ceph-osd', ['-i', '0', '--mkfs', '--osd-uuid', OSD]);
    server.run('ceph-osd', ['-i', '0', '-f']);
    const names = ['--uid', 'klpflow', '--display-name', 'klpflow', '--access-key', NAMES.access];
    server.call('radosgw-admin', ['user', 'create', ...names, '--secret-key', NAMES.secret]);
    server.gateway = server.run('radosgw', ['-n', 'client.rgw', '-f']);
    await server.answers();
    return server;
  }

  private gateway!: ChildProcess;

  /** What klpflow finds it by. */
  get environment(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${this.port}`,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: NAMES.access,
      AWS_SECRET_ACCESS_KEY: NAMES.secret,
      // Nothing of this machine's user.
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    };
  }

  /** The most that the user may keep there, in bytes. */
  limit(bytes: number): void {
    const of = ['--quota-scope', 'user', '--uid', 'klpflow'];
    this.call('radosgw-admin', ['quota', 'set', ...of, '--max-size', String(bytes)]);
    this.call('radosgw-admin', ['quota', bytes < 0 ? 'disable' : 'enable', ...of]);
  }

  async stopGateway(): Promise<void> {
    await ended(this.gateway);
  }

  async startGateway(): Promise<void> {
    this.gateway = this.run('radosgw', ['-n', 'client.rgw', '-f']);
    await this.answers();
  }

  async kill(): Promise<void> {
    await Promise.all(this.children.map(ended));
  }

  private configuration(monitor: number): string {
    const { folder, port } = this;
    const lines = {
      fsid: FSID,
      'mon host': `v1:127.0.0.1:${monitor}`,
      'auth cluster required': 'none',
      'auth service required': 'none',
      'auth client required': 'none',
      'public network': '127.0.0.0/8',
      'mon allow pool size one': true,
      'osd pool default size': 1,
      'osd pool default pg num': 2,
      'osd pool default pg autoscale mode': 'off',
      'osd objectstore': 'memstore',
      'memstore device bytes': 1 << 30,
      'osd crush chooseleaf type': 0,
      // How full this machine's disk is does not matter to it.
      'mon data avail crit': 0,
      'mon data avail warn': 0,
      'run dir': folder,
      'log file': join(folder, '$name.log'),
      'admin socket': join(folder, '$name.asok'),
      'pid file': join(folder, '$name.pid'),
      'mon data': join(folder, 'mon'),
      'osd data': join(folder, 'osd'),
      keyring: join(folder, 'keyring'),
      'rgw data': join(folder, 'rgw'),
      'rgw frontends': `beast endpoint=127.0.0.1:${port}`,
      'rgw dns name': '127.0.0.1',
      // Quotas are looked up, not remembered.
      'rgw bucket quota ttl': 0,
      'rgw user quota bucket sync interval': 0,
      'rgw cache enabled': false,
    };
    return ['[global]', ...Object.entries(lines).map(([name, value]) => `${name} = ${value}`), ''].join('\n');
  }

  private call(program: string, args: readonly string[]): string {
    const conf = program === 'monmaptool' ? [] : ['-c', 'ceph.conf'];
    return execFileSync(program, [...conf, ...args], {
      cwd: this.folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    });
  }

  private run(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(program, ['-c', 'ceph.conf', ...args], { cwd: this.folder, stdio: 'ignore' });
    this.children.push(child);
    return child;
  }

  private async answers(): Promise<void> {
    for (let tries = 0; tries < 300; tries++) {
      const answer = await fetch(`http://127.0.0.1:${this.port}/`).catch(() => undefined);
      if (answer?.ok === true) return;
      await setTimeout(100);
    }
    throw new Error('radosgw does not answer');
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exit;
}
