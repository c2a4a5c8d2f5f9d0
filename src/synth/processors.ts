import { AARCH64 } from './aarch64';
import type { SynthProcessor } from './processor';
import type { Shape } from './shape/types';
import { X86_64 } from './x86-64';

export const PROCESSORS: Readonly<Record<Shape['processor'] & string, SynthProcessor>> = {
  'x86-64': X86_64,
  aarch64: AARCH64,
};

/** The processor of a shape: x86-64 where it does not say, as shapes did not while there was no other. */
export function processorOf({ processor = 'x86-64' }: Shape): SynthProcessor {
  return PROCESSORS[processor];
}
