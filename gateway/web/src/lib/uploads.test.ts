import { describe, expect, it, vi } from 'vitest';

import { ApiError } from './api/call';
import type { Reserved } from './api/files';
import { memoryStore, type Store } from './storage';
import { MAX_FILE_BYTES, MAX_FILES, MOST_AT_ONCE, Uploads, type UploadDeps } from './uploads.svelte';

const PAIR = 'd.alice.bob';
const AT = '2026-11-21T09:00:00.000Z';

interface Flight {
  readonly fileName: string;
  readonly signal: AbortSignal;
  sent(bytes: number): void;
  arrives(): Promise<void>;
  fails(words: string): Promise<void>;
}

const settled = (): Promise<void> => new Promise((done) => setTimeout(done));

function begin(store: Store = memoryStore()) {
  const flights: Flight[] = [];
  const posted: Parameters<UploadDeps['post']>[0][] = [];
  const returned: string[] = [];
  let ids = 0;
  const uploads = new Uploads({
    host: { me: 'alice', authorized: (call) => call('token') },
    store,
    post: (parcel) => posted.push(parcel),
    returned: (_, words) => void returned.push(words),
    here: () => undefined,
    newId: () => `id-${++ids}`,
    reserve: async (_, __, { fileName }): Promise<Reserved> => ({ attachmentId: `at ${fileName}`, uploadUrl: fileName, method: 'PUT', headers: {} }),
    upload: ({ uploadUrl }, _, onSent, signal) =>
      new Promise((resolve, reject) =>
        flights.push({
          fileName: uploadUrl,
          signal,
          sent: onSent,
          arrives: () => (resolve(), settled()),
          fails: (words) => (reject(new ApiError(503, 'unavailable', words)), settled()),
        }),
      ),
  });
  const add = async (...names: string[]): Promise<readonly string[]> => {
    const problems = uploads.add(PAIR, names.map((name) => new File(['12345678'], name, { type: 'image/png' })));
    await settled();
    return problems;
  };
  const flight = (name: string): Flight => flights.findLast((one) => one.fileName === name) as Flight;
  const states = (): string[] => uploads.parcels.flatMap(({ files }) => files.map((one) => `${one.fileName} ${one.state}`));
  return { uploads, flights, flight, posted, returned, add, states, store };
}

describe('files', () => {
  it('are uploaded while the message is written, a few at once', async () => {
    const { flights, flight, add, states } = begin();
    await add(...Array.from({ length: MOST_AT_ONCE + 1 }, (_, n) => `f${n}`));
    expect(flights).toHaveLength(MOST_AT_ONCE);
    await flight('f1').arrives();
    expect(flights).toHaveLength(MOST_AT_ONCE + 1);
    expect(states()).toEqual(['f0 uploading', 'f1 done', 'f2 uploading', 'f3 uploading']);
  });

  it('go out with their message once all are there', async () => {
    const { uploads, flight, posted, add } = begin();
    await add('a', 'b');
    await flight('b').arrives();
    uploads.release(PAIR, 'two pictures', AT, 7);
    flight('a').sent(4);
    expect(posted).toEqual([]);
    expect(uploads.waiting[0]).toMatchObject({ text: 'two pictures', replyTo: 7, state: 'sending', files: [{ fileName: 'a', progress: 0.5 }, { fileName: 'b', progress: 1 }] });
    // Meanwhile the next message has a tray of its own.
    await add('c');
    expect(uploads.tray(PAIR)?.files.map((one) => one.fileName)).toEqual(['c']);
    await flight('a').arrives();
    expect(posted).toMatchObject([{ conversationId: PAIR, text: 'two pictures', replyTo: 7, at: AT, files: [{ attachmentId: 'at a', sizeBytes: 8 }, { attachmentId: 'at b' }] }]);
    expect(uploads.waiting).toEqual([]);
  });

  it('that are there already go out at once', async () => {
    const { uploads, flight, posted, add, store } = begin();
    await add('a');
    await flight('a').arrives();
    uploads.release(PAIR, '', AT);
    expect(posted).toHaveLength(1);
    expect([uploads.parcels, store.get('parley.uploads.alice')]).toEqual([[], null]);
  });

  it('that fail hold the message back until they are tried again, or taken out', async () => {
    const { uploads, flight, posted, add } = begin();
    await add('a', 'b');
    uploads.release(PAIR, 'x', AT);
    const id = uploads.waiting[0]?.clientMessageId ?? '';
    await flight('a').fails('The server is busy.');
    await flight('b').arrives();
    expect(uploads.waiting[0]).toMatchObject({ state: 'failed', problem: 'a: The server is busy.' });
    uploads.retryAll(id);
    await settled();
    expect(uploads.waiting[0]?.state).toBe('sending');
    await flight('a').fails('The server is busy.');
    uploads.discard(id);
    expect([uploads.parcels, posted]).toEqual([[], []]);
  });

  it('that are taken out are not uploaded any further, and make room', async () => {
    const { uploads, flights, flight, add, states } = begin();
    await add(...Array.from({ length: MOST_AT_ONCE + 1 }, (_, n) => `f${n}`));
    const key = uploads.tray(PAIR)?.files[0]?.key ?? '';
    uploads.remove(key);
    await settled();
    expect(flight('f0').signal.aborted).toBe(true);
    expect(flights).toHaveLength(MOST_AT_ONCE + 1);
    await flight('f0').arrives();
    expect(states()).not.toContain('f0 done');
  });

  it('that no server would take are refused by name', async () => {
    const { uploads, add, states } = begin();
    const large = new File(['x'], 'film.mp4');
    vi.spyOn(large, 'size', 'get').mockReturnValue(MAX_FILE_BYTES + 1);
    expect(uploads.add(PAIR, [new File([], 'nothing'), large])).toEqual(['“nothing” is empty, or a folder.', '“film.mp4” is larger than 100 MiB.']);
    expect(await add(...Array.from({ length: MAX_FILES + 2 }, (_, n) => `f${n}`))).toEqual([`A message has ${MAX_FILES} files at most.`]);
    expect(states()).toHaveLength(MAX_FILES);
  });

  it('have names as the contract wants them', async () => {
    const { uploads, add } = begin();
    await add('a/b\\c\u0007\u202egnp.exe', `${'ä'.repeat(300)}`);
    expect(uploads.tray(PAIR)?.files.map((one) => one.fileName)).toEqual(['a_b_c__gnp.exe', 'ä'.repeat(255)]);
  });
});

describe('a reload', () => {
  it('keeps what was uploaded, and says what has to be chosen again', async () => {
    const { store, flight, add } = begin();
    await add('a', 'b');
    await flight('a').arrives();
    const { uploads, posted, flights } = begin(store);
    uploads.restore();
    expect(uploads.tray(PAIR)?.files).toMatchObject([{ state: 'done', attachmentId: 'at a' }, { state: 'failed', lost: true, problem: expect.stringContaining('Choose it once more') }]);
    // Its bytes are gone: there is nothing to try.
    uploads.retry(uploads.tray(PAIR)?.files[1]?.key ?? '');
    expect(flights).toEqual([]);
    uploads.remove(uploads.tray(PAIR)?.files[1]?.key ?? '');
    uploads.release(PAIR, 'one picture', AT);
    expect(posted).toMatchObject([{ text: 'one picture', files: [{ attachmentId: 'at a' }] }]);
  });

  it('gives back the message whose files were not all there', async () => {
    const { uploads: before, store, flight, add } = begin();
    await add('a', 'b');
    await flight('a').arrives();
    before.release(PAIR, 'two pictures', AT);
    const { uploads, posted, returned } = begin(store);
    uploads.restore();
    expect([posted, returned, uploads.waiting]).toEqual([[], ['two pictures'], []]);
    expect(uploads.tray(PAIR)?.files.map((one) => one.state)).toEqual(['done', 'failed']);
  });

  it('is of one person', async () => {
    const { uploads, store, add } = begin();
    await add('a');
    uploads.clear();
    expect(store.get('parley.uploads.alice')).toBeNull();
    store.set('parley.uploads.alice', '[{"id":1},{"id":"p","conversationId":"c","files":[{}]}]');
    uploads.restore();
    expect(uploads.parcels).toEqual([]);
  });
});
