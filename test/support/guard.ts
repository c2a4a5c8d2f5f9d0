/**
 * Import first. From then on, columns in shared memory and words of mapped files tell who reads or writes past their end:
 * plain ones say nothing, the read gives undefined, which counts as 0 in the next sum. Bytes are left alone, for they are
 * written to files.
 */
export const outOfRange: string[] = [];

type Column = Uint16Array | Uint32Array | Int32Array | Float64Array;

const unguarded = new WeakMap<object, Column>();

function guarded(column: Column): Column {
  const methods = new Map<unknown, unknown>();
  const proxy = new Proxy(column, {
    get(target, key) {
      const value = Reflect.get(target, key, target) as unknown;
      if (typeof value === 'function' && key !== 'constructor') {
        if (!methods.has(value)) methods.set(value, value.bind(target));
        return methods.get(value);
      }
      if (value === undefined && isIndex(key)) complain('read', target, key);
      return value;
    },
    set(target, key, value) {
      if (isIndex(key) && !(Number(key) < target.length && Number(key) >= 0)) complain('write', target, key);
      return Reflect.set(target, key, value, target);
    },
  });
  unguarded.set(proxy, column);
  return proxy;
}

/** Numbers, and what comes of calculating with undefined. */
function isIndex(key: string | symbol): key is string {
  return typeof key === 'string' && /^(-?\d|NaN$|undefined$)/.test(key);
}

function complain(what: string, { length }: Column, key: string): void {
  const [, , , ...callers] = (new Error('where from').stack ?? '').split('\n');
  outOfRange.push(
    `${what} of element ${key} of ${length} ${callers
      .slice(0, 2)
      .map((line) => line.trim())
      .join(' ')}`,
  );
}

const globals = globalThis as unknown as Record<string, new (...args: never[]) => Column>;
for (const name of ['Uint16Array', 'Uint32Array', 'Int32Array', 'Float64Array']) {
  globals[name] = new Proxy(globals[name]!, {
    construct(target, args: unknown[]) {
      const column = new target(...(args as never[]));
      return column.buffer instanceof SharedArrayBuffer || args[0] instanceof ArrayBuffer ? guarded(column) : column;
    },
  });
}

// The atomic operations want the real thing.
for (const name of ['add', 'load', 'store', 'or'] as const) {
  const operation = Atomics[name] as (array: object, ...rest: unknown[]) => unknown;
  Object.assign(Atomics, {
    [name]: (array: object, ...rest: unknown[]) => operation(unguarded.get(array) ?? array, ...rest),
  });
}
