/**
 * A warning of 6.19 and later is no ud2 but a static call of `WARN_trap`, which gets the entry of __bug_table (`virtio_transport_recv_pkt` of 7.3): right modules were
 * refused for it. The silent failure: any other call passes for one, and the kernel warns of nothing, or at another place.
 */
import { expect, test } from 'vitest';
import { klp } from '../support/livepatch-module';
import { hex } from '../support/elf-builder';
import { brief, found, made, moveEntry, rename, write } from '../support/spoiled-module';

/** Complaints about tables, of a module whose warning is the static call, which is called `name`. */
function complaints(name: string): string[] {
  const module = made('livepatch-warning.ko', (draft, at) => {
    rename(draft, klp('__SCT__thing'), klp(`__SCT__${name}`));
    rename(draft, klp('__SCK__thing'), klp(`__SCK__${name}`));
    moveEntry(draft, '__bug_table', at['warn']!, at['staticCall']!);
    write(draft, '.text', at['warn']!, hex('66 90'));
  });
  return brief(found({ module })).filter((text) => /^verify-(?:missing-)?entry/.test(text));
}

test('a warning that is a static call is one; another static call is none', () => {
  expect(complaints('WARN_trap')).toEqual([]);
  expect(complaints('thing')).toEqual([
    expect.stringMatching(/^verify-entry: .*__bug_table.* not ud1, ud2 or a call of __SCT__WARN_trap/),
  ]);
});
