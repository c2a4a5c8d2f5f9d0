import type { Distribution } from './distribution';
import type { Shape, SiteKind } from './types';

/** Tables with entries for a function itself; the others' grow with its code. */
const OF_FUNCTIONS: ReadonlySet<SiteKind> = new Set(['ftrace', 'seals', 'addressable', 'exports']);

/** The shape of a kernel whose functions are so many times as long, with so many times the relocations and sites; names, data and strings stay. */
export function scaledShape(shape: Shape, factor: number): Shape {
  const scaled = (numbers: Distribution): Distribution => ({
    ...numbers,
    mean: numbers.mean * factor,
    tail: numbers.tail * factor,
    at: numbers.at.map((value) => value * factor),
  });
  const sites = Object.entries(shape.sites).map(([kind, count]) => [
    kind,
    OF_FUNCTIONS.has(kind as SiteKind) ? count : count * factor,
  ]);
  return {
    ...shape,
    functions: { ...shape.functions, size: scaled(shape.functions.size), relas: scaled(shape.functions.relas) },
    sites: Object.fromEntries(sites) as Shape['sites'],
  };
}
