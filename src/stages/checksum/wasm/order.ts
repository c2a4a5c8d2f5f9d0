/** A heap sort of numbers [from, to) of a list, which mostly are in order already. */
export function sort(
  from: u32,
  to: u32,
  get: (index: u32) => u32,
  put: (index: u32, value: u32) => void,
  isBefore: (a: u32, b: u32) => bool,
): void {
  let ordered: bool = true;
  for (let i = from + 1; i < to && ordered; i++) ordered = isBefore(get(i - 1), get(i));
  if (ordered) return;
  const count = to - from;
  for (let root = count >>> 1; root > 0; root--) sink(from, root - 1, count, get, put, isBefore);
  for (let last = count - 1; last > 0; last--) {
    const greatest = get(from);
    put(from, get(from + last));
    put(from + last, greatest);
    sink(from, 0, last, get, put, isBefore);
  }
}

function sink(
  from: u32,
  root: u32,
  count: u32,
  get: (index: u32) => u32,
  put: (index: u32, value: u32) => void,
  isBefore: (a: u32, b: u32) => bool,
): void {
  const value = get(from + root);
  for (;;) {
    let child = root * 2 + 1;
    if (child >= count) break;
    if (child + 1 < count && isBefore(get(from + child), get(from + child + 1))) child++;
    if (!isBefore(value, get(from + child))) break;
    put(from + root, get(from + child));
    root = child;
  }
  put(from + root, value);
}
