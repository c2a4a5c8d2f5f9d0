import { defaultRunDir } from '../files/cache-folder';
import { describeImage, type ImageDescription } from '../pipeline/describe-image';
import { describeObject, isRelocatable, type ObjectDescription } from '../pipeline/describe-object';
import { unpackedInto } from '../pipeline/unpacked-folder';
import { withPlain } from './unpacked';

/** What a file tells: an object's kernel, or what a kernel's image holds; compressed ones as what they hold. @throws KlpflowError */
export async function describe(file: string): Promise<{ object: ObjectDescription } | { image: ImageDescription }> {
  return withPlain(unpackedInto(defaultRunDir()), { object: file }, async ({ object }) =>
    isRelocatable(object) ? { object: describeObject(object) } : { image: await describeImage(object) },
  );
}
