import { defaultRunDir } from '../files/cache-folder';
import { unpackedInto } from '../pipeline/unpacked-folder';
import { measureObject, type Shape } from '../synth';
import { withPlain } from './unpacked';

/** Measures how an object is built, for `writePair` to make objects of any size that measure alike. */
export function shape(options: { object: string; runDir?: string | undefined }): Promise<Shape> {
  const { runDir = defaultRunDir() } = options;
  return withPlain(unpackedInto(runDir), options, ({ object }) => measureObject(object));
}
