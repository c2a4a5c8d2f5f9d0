import { diagnostic, type Diagnostic, type DiagnosticCode, type Where } from './diagnostic';

/** An error that a person can act on. Everything klpflow throws on purpose is one; anything else is a bug. */
export class KlpflowError extends Error {
  readonly diagnostic: Diagnostic;

  constructor(code: DiagnosticCode, message: string, where: Where = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KlpflowError';
    this.diagnostic = diagnostic(code, message, where);
  }

  get code(): DiagnosticCode {
    return this.diagnostic.code;
  }
}

/** What V8 throws, as a RangeError, where the system gives no memory: for WebAssembly and for ArrayBuffers. */
const NO_MEMORY =
  /^WebAssembly\.\w+(\.grow)?\(\): (could not allocate memory|Out of memory|Unable to grow|Maximum memory size exceeded)|^Array buffer allocation failed/;

/** The diagnostic of any thrown value: its own, one revived from another thread, memory that is not there, or `internal`. */
export function diagnosticOf(thrown: unknown): Diagnostic {
  if (thrown instanceof KlpflowError) return thrown.diagnostic;
  const carried = (thrown as { diagnostic?: Diagnostic } | null)?.diagnostic;
  if (carried?.code !== undefined) return carried;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  if (error.name === 'RangeError' && NO_MEMORY.test(error.message))
    return diagnostic('memory-too-small', `the system gives no more memory (${error.message})`);
  return diagnostic('internal', error.stack ?? error.message);
}

/** The typed form of a file system error on `path`: no space, not writable, not readable. */
export function fileError(path: string, cause: unknown, access: 'read' | 'write'): KlpflowError {
  if (cause instanceof KlpflowError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  const reason = ERRNO_TEXT[code] ?? code;
  if (access === 'read')
    return new KlpflowError('unreadable', `cannot read ${path}: ${reason}`, { object: path }, cause);
  const full = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
  return new KlpflowError(
    full ? 'no-space' : 'write-failed',
    `cannot write ${path}: ${reason}`,
    { object: path },
    cause,
  );
}

const ERRNO_TEXT: Record<string, string> = {
  EACCES: 'permission denied',
  EDQUOT: 'disk quota exceeded',
  EEXIST: 'a file of that name exists',
  EFBIG: 'file size limit reached',
  EIO: 'input/output error',
  EISDIR: 'it is a directory',
  ELOOP: 'too many symbolic links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or directory',
  ENOMEM: 'out of memory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'part of the path is not a directory',
  ENXIO: 'no such device',
  ERR_FS_FILE_TOO_LARGE: 'it is larger than 2 GiB',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
};
