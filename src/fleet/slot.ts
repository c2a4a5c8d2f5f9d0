/** A place where one job at a time is done, in a process of its own that is kept for the next. */
import { fork, type ChildProcess } from 'node:child_process';
import { KlpflowError, interrupted } from '../diagnostics';
import type { Answer, Ask } from './cell-process';
import type { Job } from './job';
import type { Done, Place } from './perform';

export class Slot {
  private child: ChildProcess | undefined;

  /** @throws KlpflowError what keeps the job from having a result, `cell-lost`, `interrupted` */
  run(job: Job, place: Omit<Place, 'signal'>, signal?: AbortSignal): Promise<Done> {
    const child = (this.child ??= start());
    return new Promise((resolve, reject) => {
      const stop = (): void => send(child, 'stop');
      const settled = (): void => {
        child.off('message', answered).off('exit', lost);
        signal?.removeEventListener('abort', stop);
      };
      const answered = (answer: Answer): void => {
        settled();
        if (!('failed' in answer)) return resolve(answer);
        const { code, message, where } = answer.failed;
        reject(new KlpflowError(code, message, where));
      };
      const lost = (status: number | null, by: NodeJS.Signals | null): void => {
        settled();
        this.child = undefined;
        reject(
          signal?.aborted === true
            ? interrupted()
            : new KlpflowError('cell-lost', `the process of the cell ended (${by ?? `exit code ${status}`})`),
        );
      };
      child.on('message', answered).once('exit', lost);
      if (signal?.aborted === true) stop();
      signal?.addEventListener('abort', stop);
      send(child, { job, place });
    });
  }

  /** Ends the process; what it does is lost. */
  close(): void {
    this.child?.disconnect();
    this.child?.kill('SIGKILL');
    this.child = undefined;
  }
}

function start(): ChildProcess {
  // What it says of itself is for people who look for a bug.
  const child = fork(require.resolve('#cell'), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  child.on('error', () => undefined);
  return child;
}

/** One that has ended is told of by its exit. */
function send(child: ChildProcess, ask: Ask): void {
  if (child.connected) child.send(ask, () => undefined);
}
