/** The diagnostics that are told at several places, each worded once. */
import { KlpflowError } from './error';

/** What a long step asks between two parts of its work. @throws KlpflowError `interrupted` once the signal is given */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw interrupted();
}

export function interrupted(): KlpflowError {
  return new KlpflowError('interrupted', 'interrupted');
}

/** A flag, or an argument, that was given as ''. */
export function emptyName(flag: string): KlpflowError {
  return new KlpflowError('usage', `${flag}: the name is empty`);
}

/** A finished module cannot be written to `path` without one of these. */
export function noKernelGiven(path: string): KlpflowError {
  return new KlpflowError(
    'usage',
    `-o ${path}: --vmlinux FILE is needed, the image of the running kernel (/boot/vmlinuz-RELEASE), or --symvers FILE, the Module.symvers of the original build: it says what the kernel exports to modules`,
  );
}

export function cannotWrite(path: string, why: string): KlpflowError {
  return new KlpflowError('write-failed', `cannot write ${path}: ${why}`, { object: path });
}

export function notRegular(path: string): KlpflowError {
  return new KlpflowError('not-regular-file', `${path} is not a regular file`, { object: path });
}

/** An input that is another file, or has other content, than when the run began. */
export function inputChanged(path: string): KlpflowError {
  return new KlpflowError('input-changed', `${path} changed during the run`, { object: path });
}

/** A kernel or module whose symbols are gone. */
export function stripped(path: string): KlpflowError {
  return new KlpflowError('unusable-listing', `${path} has no symbol table: it was stripped`, { object: path });
}

/** An object of kbuild's that was not made a module, or no module at all; `lacks` is a key of .modinfo. */
export function notModule(path: string, lacks: 'name' | 'vermagic'): KlpflowError {
  return new KlpflowError('not-a-module', `${path} is not a finished kernel module: its .modinfo has no ${lacks}`, {
    object: path,
  });
}
