/** Does `work` for each item, so many at a time; answers in the items' order. The first failure ends it when those under way are done. */
export async function parallel<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = new Array<R>(items.length);
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const i = next++;
      try {
        answers[i] = await work(items[i]!);
      } catch (cause) {
        failed = true;
        throw cause;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, worker));
  const refused = ended.find((one) => one.status === 'rejected');
  if (refused !== undefined) throw refused.reason;
  return answers;
}
