/** What Prometheus asks a worker for: BullMQ's own export of its queues, and what this worker has done. */
import { createServer, type Server } from 'node:http';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { KlpflowError } from '../../diagnostics';
import type { Counts } from './counts';

export interface MetricsPlace {
  host: string;
  port: number;
}

/** `PORT` is this machine alone; `HOST:PORT`, `[::]:PORT`. @throws KlpflowError `usage` */
export function metricsPlace(text: string): MetricsPlace {
  const [, host = '127.0.0.1', port] = /^(?:(\[[0-9a-f:]+\]|[\w.-]+):)?(\d{1,5})$/i.exec(text) ?? [];
  if (port === undefined || Number(port) > 65535)
    throw new KlpflowError('usage', `--metrics: ${text} is no address: give PORT or HOST:PORT`);
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

export class MetricsServer {
  private readonly queues = new Map<string, Queue>();

  private constructor(
    private readonly server: Server,
    private readonly redis: Redis,
  ) {}

  /** @throws KlpflowError `usage` where nobody may listen there */
  static async of(
    { host, port }: MetricsPlace,
    redis: Redis,
    sources: { queues: () => readonly string[]; counts: Counts },
  ): Promise<MetricsServer> {
    const server = createServer();
    const metrics = new MetricsServer(server, redis);
    server.on('request', ({ url, method }, response) => {
      if (url !== '/metrics' || method !== 'GET') return void response.writeHead(404).end();
      metrics.text(sources.queues(), sources.counts).then(
        (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
        () => response.writeHead(503).end(),
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) =>
        reject(new KlpflowError('usage', `--metrics: cannot listen on ${host}:${port}: ${cause.code}`)),
      );
      server.listen(port, host, resolve);
    });
    return metrics;
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  async close(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await Promise.allSettled([...this.queues.values()].map((queue) => queue.close()));
  }

  private async text(names: readonly string[], counts: Counts): Promise<string> {
    const { Queue: Bull } = await import('bullmq');
    const texts: string[] = [];
    for (const name of names) {
      const queue = this.queues.get(name) ?? new Bull(name, { connection: this.redis });
      if (!this.queues.has(name)) queue.on('error', () => undefined);
      this.queues.set(name, queue);
      texts.push(await queue.exportPrometheusMetrics());
    }
    return merged([...texts, own(counts)]);
  }
}

function own({ verdicts, seconds, active }: Counts): string {
  const cells = Object.entries(verdicts).map(
    ([verdict, count]) => `klpflow_cells_total{verdict="${verdict}"} ${count}`,
  );
  return [
    '# HELP klpflow_cells_total Cells that this worker has done, by verdict; failed ones at each try',
    '# TYPE klpflow_cells_total counter',
    ...cells,
    '# HELP klpflow_cell_seconds_total Time that its cells have taken',
    '# TYPE klpflow_cell_seconds_total counter',
    `klpflow_cell_seconds_total ${seconds}`,
    '# HELP klpflow_cells_active Cells that it works on',
    '# TYPE klpflow_cells_active gauge',
    `klpflow_cells_active ${active}`,
  ].join('\n');
}

/** Several exports as one: the format wants all lines of a metric together, and what is said of it once. */
function merged(texts: readonly string[]): string {
  const metrics = new Map<string, { said: Set<string>; lines: string[] }>();
  for (const line of texts.flatMap((text) => text.split('\n')).filter(Boolean)) {
    const name = /^(?:# (?:HELP|TYPE) )?(\w+)/.exec(line)?.[1] ?? '';
    const metric = metrics.get(name) ?? { said: new Set<string>(), lines: [] };
    if (line.startsWith('#')) metric.said.add(line);
    else metric.lines.push(line);
    metrics.set(name, metric);
  }
  return [...metrics.values()].flatMap(({ said, lines }) => [...said, ...lines, '']).join('\n');
}
