/** References to symbols whose name proves nothing, as (user, slot, target); see ../uses.ts. */
import { takeUses } from './host';

/** Words of the buffer, a multiple of three. */
export const USES: u32 = 3 * 1024;

export let uses: usize = 0;
let used: u32 = 0;
/** How many were met, noted or not. */
export let met: u32 = 0;

/** Notes a use; `user` 0 stands for somebody who keeps no account. */
export function note(user: u32, slot: u32, target: u32): void {
  met++;
  if (user == 0) return;
  if (used == USES) flush();
  const at = uses + ((<usize>used) << 2);
  store<u32>(at, user);
  store<u32>(at, slot, 4);
  store<u32>(at, target, 8);
  used += 3;
}

export function flush(): void {
  const words = used;
  used = 0;
  if (words != 0) takeUses(uses, words);
}

/** Forgets what a call that failed left. */
export function forget(): void {
  used = 0;
}
