import type { Offset } from '../../elf';
import type { OutputSymbol } from '../object';
import type { ModuleImage } from './image';
import type { Platform } from './platform';

/** What a module has of its own, or has otherwise, by processor. */
export interface ModuleProcessor {
  /** What fills gaps between functions. */
  readonly gap: number;
  /** Whether a field of this type must not stand at an offset of the code. */
  isMisplaced(type: number, offset: Offset): boolean;
  /** Whether functions can be given what kCFI asks for. */
  canWriteEntryCode(platform: Platform): boolean;
  /**
   * Adds `init_module`, which enables `patch`, and `cleanup_module`, which does nothing: by the time the kernel calls it, the
   * livepatch has been disabled by its user. Both are called indirectly.
   */
  addEntryCode(image: ModuleImage, platform: Platform, patch: OutputSymbol): { init: OutputSymbol; exit: OutputSymbol };
  /** What the whole module needs once all code is there. */
  finish(image: ModuleImage, platform: Platform): void;
}
