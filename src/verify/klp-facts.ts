/** What klp_patch says besides what it patches: by which rules the kernel lets it in while another one is loaded. */
import type { Context, PatchFacts } from './context';
import { functionAt, layoutOf, pointerAt } from './klp-structs';
import type { Spot } from './module';

/** `struct klp_state` as it is in every release so far: an id, a version of 32 bits, data. */
const STATE = { size: 24, id: 0, version: 8 };
const CALLBACK_KINDS = 4;
/** More elements than any livepatch has. */
const MOST = 65536;

export function readPatchFacts(context: Context, patch: Spot): PatchFacts {
  const { at } = layoutOf(context).klp_patch;
  return {
    replace: patch.section.bytes[patch.offset + at.replace] === 1,
    states: readStates(context, pointerAt(context, moved(patch, at.states))),
    callbacks: [],
  };
}

/** The callbacks of one klp_object. */
export function callbacksOf(context: Context, object: Spot, name: string): PatchFacts['callbacks'] {
  const { at } = layoutOf(context).klp_object;
  return Array.from({ length: CALLBACK_KINDS }, (_, i) =>
    functionAt(context, pointerAt(context, moved(object, at.callbacks + 8 * i))),
  ).flatMap((found) => (found === undefined ? [] : [{ object: name, function: found.name }]));
}

function readStates({ types }: Context, target: ReturnType<typeof pointerAt>): PatchFacts['states'] {
  if (target?.in !== 'module') return [];
  const layout = types?.get('klp_state');
  const size = layout?.size ?? STATE.size;
  const [id, version] = [layout?.members.get('id') ?? STATE.id, layout?.members.get('version') ?? STATE.version];
  if (size < 16 || id + 8 > size || version + 4 > size) return [];
  const { bytes } = target.section;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const states: PatchFacts['states'] = [];
  for (let at = target.offset; at >= 0 && at + size <= bytes.length && states.length < MOST; at += size) {
    const number = Number(view.getBigUint64(at + id, true));
    if (number === 0) break;
    states.push({ id: number, version: view.getUint32(at + version, true) });
  }
  return states;
}

const moved = ({ section, offset }: Spot, by: number): Spot => ({ section, offset: offset + by });
