/** Which store a name means. */
import { BucketStore, cacheOf } from './bucket-store';
import { FolderStore, type Store } from './store';

/** @throws KlpflowError `usage` */
export function storeCalled(name: string, runDir: string): Store {
  return BucketStore.is(name) ? BucketStore.of(name, cacheOf(runDir)) : new FolderStore(name);
}
