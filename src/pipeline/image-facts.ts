import { KlpflowError } from '../diagnostics';
import type { RunOptions } from './flow';
import { GivenKernel } from './kernel';
import { withFlow } from './run';
import type { ImageFacts } from './types';

/** What a kernel's image says, from the run directory where it was read before. @throws KlpflowError `usage` for what is no image */
export async function imageFacts(request: RunOptions, path: string): Promise<ImageFacts> {
  const { trace: _trace, startedAt: _startedAt, ...options } = request;
  return withFlow(options, async (flow) => {
    const { image } = await new GivenKernel(flow, { vmlinux: path }, true).sources();
    if (image === null)
      throw new KlpflowError('usage', `${path} is not a kernel's image: give the vmlinuz that boots`, { object: path });
    return image;
  });
}
