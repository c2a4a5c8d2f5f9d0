import { defaultRunDir } from '../files/cache-folder';
import { describeImage, type ImageDescription } from '../pipeline/describe-image';
import { describeObject, isRelocatable, type ObjectDescription } from '../pipeline/describe-object';
import { unpackedInto } from '../pipeline/unpacked-file';
import { Unpacked } from './unpacked';

/** What a file tells: an object's kernel, or what a kernel's image holds; compressed ones as what they hold. @throws KlpflowError */
export async function describe(file: string): Promise<{ object: ObjectDescription } | { image: ImageDescription }> {
  const unpacked = new Unpacked(unpackedInto(defaultRunDir()));
  try {
    const { object: path } = await unpacked.options({ object: file });
    return unpacked.told(isRelocatable(path) ? { object: describeObject(path) } : { image: await describeImage(path) });
  } catch (thrown) {
    throw unpacked.error(thrown);
  }
}
