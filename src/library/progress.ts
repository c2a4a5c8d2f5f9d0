import type { ProgressEvent } from '../pipeline/types';

/** Who is told; a function is told what comes next. */
export interface Observer<T> {
  next?(value: T): void;
  complete?(): void;
}

/**
 * What a run does, as it does it: to subscribe to, or to go through with `for await`. `from(run.progress)` makes RxJS's Observable of it. It ends
 * when the run does; whether that failed the run's promise tells.
 */
export interface Progress extends AsyncIterable<ProgressEvent> {
  subscribe(observer: ((event: ProgressEvent) => void) | Observer<ProgressEvent>): { unsubscribe(): void };
}

/** Hands on what it is told to whoever subscribed by then. */
export class Feed<T> {
  private readonly observers = new Set<Observer<T>>();
  private ended = false;

  tell(value: T): void {
    for (const observer of [...this.observers]) observer.next?.(value);
  }

  end(): void {
    this.ended = true;
    for (const observer of [...this.observers]) observer.complete?.();
    this.observers.clear();
  }

  subscribe(observer: ((value: T) => void) | Observer<T>): { unsubscribe(): void } {
    // Methods of an object may ask for their `this`; one object may subscribe twice.
    const own: Observer<T> =
      typeof observer === 'function'
        ? { next: observer }
        : { next: (value) => observer.next?.(value), complete: () => observer.complete?.() };
    if (this.ended) own.complete?.();
    else this.observers.add(own);
    return { unsubscribe: () => void this.observers.delete(own) };
  }

  /** Keeps what comes while nobody asks for the next. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    const waiting: T[] = [];
    let wake = (): void => undefined;
    let ended = false;
    const { unsubscribe } = this.subscribe({
      next: (value) => {
        waiting.push(value);
        wake();
      },
      complete: () => {
        ended = true;
        wake();
      },
    });
    try {
      for (;;) {
        while (waiting.length > 0) yield waiting.shift()!;
        if (ended) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      unsubscribe();
    }
  }
}
