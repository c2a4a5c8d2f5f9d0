/**
 * What runs in the process of a slot: jobs, one after another. A process of its own, since a file that is cut while it is mapped ends whoever maps it
 * (SIGBUS), as does memory that runs out; and since comparing keeps its thread busy, in which a worker has to tell Redis that it lives.
 */
import { diagnosticOf, type Diagnostic } from '../diagnostics';
import { ownProcess } from '../v8-flags';
import type { Job } from './job';
import { perform, type Done, type Place } from './perform';

export type Ask = { job: Job; place: Omit<Place, 'signal'> } | 'stop';
export type Answer = Done | { failed: Diagnostic };

/** After this long without whoever started it, it ends in the middle of whatever it does. */
const ALONE_MS = 20_000;

function serve(): void {
  ownProcess();
  const stop = new AbortController();
  // Ctrl-C goes to the whole group of processes: whoever started this one says what becomes of it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.on('message', (ask: Ask) => {
    if (ask === 'stop') return stop.abort();
    void perform(ask.job, { ...ask.place, signal: stop.signal })
      .catch((cause: unknown): Answer => ({ failed: diagnosticOf(cause) }))
      .then((answer) => process.send?.(answer));
  });
  process.on('disconnect', () => {
    // Programs of a build are told to end.
    stop.abort();
    setTimeout(() => process.exit(1), ALONE_MS).unref();
  });
}

serve();
