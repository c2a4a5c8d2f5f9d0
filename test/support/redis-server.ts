/** Debian's redis-server for a test: on loopback, with a folder of its own, ended by its process number. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** Why tests with Redis cannot run here; undefined where they can. Under KLPFLOW_REQUIRE_CORPUS nothing is skipped. */
export function missingRedis(): string | undefined {
  if (spawnSync('redis-server', ['--version']).status === 0) return undefined;
  if (process.env['KLPFLOW_REQUIRE_CORPUS'] === '1') throw new Error('redis-server is not installed');
  return 'redis-server is not installed (Debian package redis-server)';
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class RedisServer {
  private child: ChildProcess | undefined;

  private constructor(
    private readonly folder: string,
    readonly port: number,
    private readonly options: readonly string[],
    private readonly tls: boolean,
  ) {}

  /** `tls`: it has no port without. */
  static async start(folder: string, options: readonly string[] = [], tls = false): Promise<RedisServer> {
    mkdirSync(folder, { recursive: true });
    const server = new RedisServer(folder, await freePort(), options, tls);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Every write is on the disk before it is answered, as docs/fleet.md says. */
  async start(): Promise<void> {
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
    const ports = this.tls ? ['--port', '0', '--tls-port', String(this.port)] : ['--port', String(this.port)];
    const place = [...ports, '--bind', '127.0.0.1', '--dir', this.folder];
    this.child = spawn('redis-server', [...place, ...durable, ...this.options], { stdio: 'ignore' });
    for (let tries = 0; tries < 200; tries++) {
      const open = await new Promise<boolean>((resolve) => {
        const socket = createConnection(this.port, '127.0.0.1');
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
        socket.once('connect', () => socket.destroy());
      });
      if (open) return;
      await setTimeout(50);
    }
    throw new Error('redis-server does not answer');
  }

  /** Killed, as by a power failure. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    this.child = undefined;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}
