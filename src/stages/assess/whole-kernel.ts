import type { Side } from '../side/side';
import type { AssessInput } from './types';

/** vmlinux.o: no unit defines both the first task and the version's banner. */
export function isWholeKernel({ identity }: Side): boolean {
  return identity.named('init_task').length > 0 && identity.named('linux_banner').length > 0;
}

/** Whether the object is only one unit of the patched one: not all users of its globals are known. */
export function isUnit({ unit, objectName, orig }: AssessInput): boolean {
  return unit ?? (objectName === 'vmlinux' && !isWholeKernel(orig));
}
