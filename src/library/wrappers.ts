import { writeWrappers, type Wrapper } from '../tools/wrappers';

export interface WrappersOptions {
  /** Where they are written. */
  folder: string;
  /** The words by which klpflow is called. */
  klpflow: readonly string[];
}

export interface WrappersResult {
  schema: 'klpflow/wrappers@1';
  wrappers: Wrapper[];
}

/** Writes `objtool`, `create-diff-object`, `create-klp-module` and `make`, by which klp-build and kpatch-build run klpflow. */
export function wrappers({ folder, klpflow }: WrappersOptions): WrappersResult {
  return { schema: 'klpflow/wrappers@1', wrappers: writeWrappers(folder, klpflow) };
}
